// SPDX-License-Identifier: Apache-2.0

package v1alpha1

// Namespace holds the gateways, the controller and everything we write that is not the user's. It is part of the names by
// which clients call dummy Services and of the gateways' identities, so it is not configurable.
const Namespace = "mc-wan"

// ClusterSetDomain is the zone of multi-cluster services (KEP-1645, specification.md "DNS").
const ClusterSetDomain = "clusterset.local"

// Names of what the chart installs in Namespace.
const (
	EgressName     = "mcw-egress"
	IngressName    = "mcw-ingress"
	ControllerName = "mcw-controller"
	// FeedServiceName is the Service of the controllers' feed port.
	FeedServiceName = "mcw-controller-feed"
)

// Fixed ports.
const (
	// EgressFeedPort is where the egress gateway takes the controller's calls, to peers' feeds and to keep connections open: mTLS only.
	EgressFeedPort int32 = 9443
	// ControllerFeedPort is where a controller serves its own feed to its ingress gateway.
	ControllerFeedPort int32 = 9444
	// MinLegPort and MaxLegPort bound the ports of legs. Istio's own 15000 to 15100 are left out of the range
	// (istio.io/docs/ops/deployment/application-requirements), and so is 30000 up, for WAN policies.
	MinLegPort int32 = 10000
	MaxLegPort int32 = 29999
	// MinIstioPort and MaxIstioPort bound the ports that Istio's proxies use themselves.
	MinIstioPort int32 = 15000
	MaxIstioPort int32 = 15100
)

// FeedHost is the wire name of a cluster's feed.
const FeedHost = "feed." + Namespace + ".svc." + ClusterSetDomain

// StandbyHost is the wire name under which a cluster's ingress gateway answers calls that only keep connections open.
const StandbyHost = "standby." + Namespace + ".svc." + ClusterSetDomain

// Labels and annotations.
const (
	// LabelManagedBy with ValueManagedBy is on everything the controller writes; only that is ever pruned.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	ValueManagedBy = "mc-wan"
	// LabelPart says what an object is for: leg, path, export, fleet, import, advertisement, card.
	LabelPart = "mcw.l7mp.io/part"
	// LabelSourceCluster is the cluster an advertisement or card comes from.
	LabelSourceCluster = "mcw.l7mp.io/source-cluster"
	// LabelServiceNamespace and LabelServiceName tie what we write to the service it is for.
	LabelServiceNamespace = "mcw.l7mp.io/service-namespace"
	LabelServiceName      = "mcw.l7mp.io/service-name"
	// LabelPath is the path an object belongs to.
	LabelPath = "mcw.l7mp.io/path"
	// LabelPolicy on what belongs to a dummy Service is the WAN policy that it stands for.
	LabelPolicy = "mcw.l7mp.io/wan-policy"
	// LabelHostname on what belongs to one endpoint of a headless service is the endpoint's hostname.
	LabelHostname = "mcw.l7mp.io/hostname"
	// LabelGateway selects gateway pods: egress or ingress.
	LabelGateway = "mcw.l7mp.io/gateway"
	// LabelManual marks advertisements written by hand (`mcwanctl import`); the feed never touches them.
	LabelManual = "mcw.l7mp.io/manual"

	// AnnotationWANPolicy on a ServiceExport names the WANPolicy of the export.
	AnnotationWANPolicy = "mcw.l7mp.io/mc-wan-policy"
	// AnnotationFailover on a ServiceExport says where the export's traffic goes when its tunnel fails, in place of the
	// failover of the export's own policy: Automatic, Strict, or Ordered: and WANPolicies by name, separated by commas.
	// Strict holds for all traffic of the service; a policy that is Strict in the calling cluster stays so.
	AnnotationFailover = "mcw.l7mp.io/failover"
	// AnnotationIdempotent on a ServiceExport names HTTP methods, separated by commas, that the service may get twice and
	// that are repeated like GET when the tunnel fails: PUT, DELETE.
	AnnotationIdempotent = "mcw.l7mp.io/idempotent-methods"
)

// Values of LabelGateway.
const (
	GatewayEgress  = "egress"
	GatewayIngress = "ingress"
)

// Values of LabelPart.
const (
	PartLeg           = "leg"
	PartPath          = "path"
	PartExport        = "export"
	PartFleet         = "fleet"
	PartImport        = "import"
	PartAdvertisement = "advertisement"
	PartCard          = "card"
)

// Headers that the gateways set; whatever a client sends under these names is overwritten.
const (
	// HeaderSource carries the SPIFFE id of the first client, as the egress gateway saw it.
	HeaderSource = "x-mcw-source"
	// HeaderPeer carries the SPIFFE id of the calling cluster's egress gateway to the feed.
	HeaderPeer = "x-mcw-peer"
	// HeaderWANPort carries the port of the WAN policy on which the exporting cluster's ingress gateway got the request.
	HeaderWANPort = "x-mcw-wan-port"
	// HeaderForwardedHost carries the client's own Host to the backend.
	HeaderForwardedHost = "x-forwarded-host"
)

// Headers by which an egress gateway tells the exporter's ingress gateway what a rule says of timeouts and retries. The
// egress gateway removes what clients send under these names, the ingress gateway what it has understood.
const (
	// HeaderTimeout bounds the request at the ingress gateway, with all of its tries, in milliseconds.
	HeaderTimeout = "x-mcw-timeout-ms"
	// HeaderTryTimeout bounds each try, in milliseconds.
	HeaderTryTimeout = "x-mcw-try-timeout-ms"
	// HeaderRetries is how often the ingress gateway tries again.
	HeaderRetries = "x-mcw-retries"
	// HeaderRetryOn says upon what, in Envoy's words, and HeaderRetryCodes upon which status codes.
	HeaderRetryOn    = "x-mcw-retry-on"
	HeaderRetryCodes = "x-mcw-retry-codes"
)
