// SPDX-License-Identifier: Apache-2.0

package artifacts

// Versions of what the sandbox runs. They repeat what the go.mod files and requirement files pin, because a binary
// learns its version from the linker; a test compares the two.
const (
	// KubernetesVersion is what every component says it is.
	KubernetesVersion = "v1.36.1"
	// IstioVersion is the release whose line the pinned istio.io/istio commit belongs to. Proxies send it to istiod,
	// and istiod and istioctl parse it as a semantic version and compare it to decide on features.
	IstioVersion = "1.31.1"
	// IstioHub and IstioTag are the values `hub` and `tag` of an Istio installation in the sandbox.
	IstioHub = "mcwan.local/istio"
	// IstioTag says that these are not the images of the release: their Envoy is upstream's, without Istio's filters.
	IstioTag = IstioVersion + "-sandbox"
	// EnvoyVersion is that of the wheel in envoy-requirements.txt.
	EnvoyVersion = "1.40.0"
	// DebianSuite is the release that root file systems are made of.
	DebianSuite = "bookworm"
)

// Image names by which the clusters' manifests ask for what Build makes. All are preloaded into every cluster, so
// imagePullPolicy must be IfNotPresent or Never.
const (
	PauseImage      = "mcwan.local/pause:1"
	CoreDNSImage    = "mcwan.local/coredns:1"
	PilotImage      = IstioHub + "/pilot:" + IstioTag
	ProxyImage      = IstioHub + "/proxyv2:" + IstioTag
	ControllerImage = "docker.io/l7mp/mcwan-controller:dev"
	EchoImage       = "docker.io/l7mp/mcwan-echo:dev"
	ClientImage     = "docker.io/l7mp/mcwan-client:dev"
)

// Names that the conformance suite of mcs-api asks for (conformance/k8s_objects.go); see BuildConformanceImages.
const (
	SocatImage    = "docker.io/alpine/socat:1.7.4.4"
	NetshootImage = "docker.io/nicolaka/netshoot:v0.15"
)
