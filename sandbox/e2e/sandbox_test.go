// SPDX-License-Identifier: Apache-2.0

//go:build sandbox

package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/l7mp/mc-wan/sandbox/artifacts"
)

const bound = 2 * time.Minute

// workload runs a backend and a client in each cluster and returns the backends' IPv4 addresses.
func workload(s *sandbox, clusters ...string) map[string]string {
	s.t.Helper()
	addresses := map[string]string{}
	for _, c := range clusters {
		s.mustKubectl(c, "create", "deployment", "echo", "--image", artifacts.EchoImage)
		s.mustKubectl(c, "expose", "deployment", "echo", "--port", "80", "--target-port", "8080", "--overrides", `{"spec": {"ipFamilyPolicy": "RequireDualStack"}}`)
		s.mustKubectl(c, "create", "deployment", "client", "--image", artifacts.ClientImage, "--", "sleep", "infinity")
	}
	for _, c := range clusters {
		addresses[c] = s.address(c)
		s.mustKubectl(c, "rollout", "status", "deployment/client", "--timeout", bound.String())
	}
	return addresses
}

// address is the IPv4 address of the backend's pod, once it is ready.
func (s *sandbox) address(cluster string) string { return s.addressOf(cluster, 0) }

// addressOf is the address of the backend's pod by family, the first one 0, once it is ready.
func (s *sandbox) addressOf(cluster string, family int) string {
	s.t.Helper()
	show := fmt.Sprintf(`jsonpath={range .items[*]}{.status.podIPs[%d].ip} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}`, family)
	var out, ip string
	found := within(bound, func() bool {
		out = s.mustKubectl(cluster, "get", "pods", "-l", "app=echo", "-o", show)
		var ready bool
		ip, ready = strings.CutSuffix(out, " True")
		return ready && ip != ""
	})
	if !found {
		s.t.Fatalf("the backend of %s is not ready: %q", cluster, out)
	}
	return ip
}

// get asks for a URL from the client's pod.
func (s *sandbox) get(cluster, url string) (string, error) {
	s.t.Helper()
	return s.kubectl(cluster, "exec", "deployment/client", "--", "curl", "--silent", "--show-error", "--fail", "--insecure", "--max-time", "3", url)
}

func (s *sandbox) expectAnswer(cluster, url string) {
	s.t.Helper()
	var out string
	var err error
	if !within(bound, func() bool { out, err = s.get(cluster, url); return err == nil }) {
		s.t.Fatalf("%s from %s: %v\n%s", url, cluster, err, out)
	}
}

func TestTwoClustersReachEachOtherThroughTheSDWANOnly(t *testing.T) {
	s := newSandbox(t, "e2e-wan")
	s.mustRun("up", "--clusters", "2", "--no-istio")
	at := workload(s, "cluster-1", "cluster-2")
	url, url6 := "http://"+at["cluster-2"]+":8080/", "http://["+s.addressOf("cluster-2", 1)+"]:8080/"

	s.expectAnswer("cluster-1", url)
	s.expectAnswer("cluster-1", url6)
	s.expectAnswer("cluster-1", "http://["+s.mustKubectl("cluster-1", "get", "service", "echo", "-o", "jsonpath={.spec.clusterIPs[1]}")+"]/")
	s.expectAnswer("cluster-1", "http://echo/") // DNS and kube-proxy, and a pod that calls another on its own bridge
	s.expectAnswer("cluster-2", "http://echo.default.svc.cluster.local/")
	s.expectAnswer("cluster-1", "https://kubernetes.default/readyz")

	before, err := s.wan().Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.mustKubectl("cluster-2", "apply", "--filename", filepath.Join(s.repo, "manifests", "charts", "mc-wan", "crds", "mcw.l7mp.io_wanpolicies.yaml"))
	s.mustKubectl("cluster-2", "wait", "--for=condition=Established", "crd/wanpolicies.mcw.l7mp.io")
	policy := `{"apiVersion": "mcw.l7mp.io/v1alpha1", "kind": "WANPolicy", "metadata": {"name": "high"}, "spec": {"tunnel": "business", "port": 8080}}`
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.repo, "bin", "kubectl"), "--kubeconfig", s.status().Kubeconfig, "--context", "cluster-2", "apply", "--filename", "-")
	cmd.Stdin = strings.NewReader(policy)
	s.command(cmd)
	if !within(10*time.Second, func() bool {
		st, err := s.wan().Status(t.Context())
		return err == nil && st.Classes[8080] == "business"
	}) {
		t.Fatal("the WANPolicy did not become a class of the SD-WAN")
	}
	s.expectAnswer("cluster-1", url)
	s.expectAnswer("cluster-1", url6)
	after, err := s.wan().Counters(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	expectTunnel(t, after.Since(before), "business")

	s.mustRun("wan", "stop")
	for _, target := range []string{url, url6, "http://echo.default.svc.cluster.local/", s.status().Clusters[1].API + "/readyz"} {
		out, err := s.get("cluster-1", target)
		if own := strings.Contains(target, "echo."); (err == nil) != own {
			t.Errorf("with the SD-WAN stopped, %s from cluster-1: %v\n%s", target, err, out)
		}
	}
	s.mustRun("wan", "start")
	s.expectAnswer("cluster-1", url)
}

func TestHealing(t *testing.T) {
	s := newSandbox(t, "e2e-heal")
	kernel := machine(t)
	s.mustRun("up", "--clusters", "1", "--no-istio")
	s.mustRun("up", "--clusters", "2")
	at := workload(s, "cluster-1", "cluster-2")
	expectSame(t, "kernel settings of the machine", kernel, machine(t))

	t.Run("up on a whole sandbox changes nothing", func(t *testing.T) {
		one, two, sdwan := s.pid("cluster-1"), s.pid("cluster-2"), s.pid("wan")
		s.mustRun("up")
		if one != s.pid("cluster-1") || two != s.pid("cluster-2") || sdwan != s.pid("wan") {
			t.Error("a process was replaced")
		}
	})
	t.Run("Kubernetes killed comes back by itself", func(t *testing.T) {
		for _, program := range []string{"kubeall", "containerd"} {
			s.kill(s.programOf("cluster-1", program))
		}
		if !within(bound, func() bool { return s.status().Ready }) {
			t.Fatalf("%+v", s.status())
		}
		s.expectAnswer("cluster-2", "http://"+at["cluster-1"]+":8080/") // pods lived on
	})
	t.Run("process 1 killed", func(t *testing.T) {
		s.kill(s.pid("cluster-1"))
		if !within(10*time.Second, func() bool { return !s.status().Clusters[0].Running }) {
			t.Fatal("status does not say that the cluster is down")
		}
		var left []string
		if !within(10*time.Second, func() bool { left = processesOf(t, s.name, "cluster-1"); return len(left) == 0 }) {
			t.Errorf("outlived process 1: %v", left)
		}
		s.mustRun("up")
		s.expectAnswer("cluster-2", "http://"+s.address("cluster-1")+":8080/")
	})
	t.Run("SD-WAN killed", func(t *testing.T) {
		s.kill(s.pid("wan"))
		if !within(10*time.Second, func() bool { return !s.status().WAN.Running }) {
			t.Fatal("status does not say that the SD-WAN is down")
		}
		s.mustRun("up")
		s.expectAnswer("cluster-1", "http://"+at["cluster-2"]+":8080/")
	})
	t.Run("process 1 killed just before up", func(t *testing.T) {
		s.kill(s.pid("cluster-1"))
		s.mustRun("up")
		s.expectAnswer("cluster-2", "http://"+s.address("cluster-1")+":8080/")
	})
	t.Run("network namespace deleted", func(t *testing.T) {
		s.command(exec.CommandContext(t.Context(), "ip", "netns", "delete", s.name+".cluster-2"))
		s.mustRun("up")
		s.expectAnswer("cluster-1", "http://"+s.address("cluster-2")+":8080/")
	})
	s.mustRun("down")
	expectNoTraces(t, s.name, s.stateDir)
	expectSame(t, "kernel settings of the machine", kernel, machine(t))
}

// TestUpKilledInTheMiddle kills up after each of its lines until clusters run, then lets another one finish or removes
// what is there.
func TestUpKilledInTheMiddle(t *testing.T) {
	s := newSandbox(t, "e2e-cut")
	for _, line := range []string{"networks and keys made", "running", "API server ready", "node and CoreDNS ready"} {
		t.Run("after "+line, func(t *testing.T) {
			s.cutUp(line, "--clusters", "1", "--no-istio")
			s.mustRun("up")
			if st := s.status(); !st.Ready {
				t.Errorf("not ready after up: %+v", st)
			}
			s.mustRun("down")
			s.cutUp(line, "--clusters", "1", "--no-istio")
			s.mustRun("down")
			expectNoTraces(t, s.name, s.stateDir)
		})
	}
}

// TestUpKilledWhileItInstalls kills up after each thing that it has installed into the clusters. Installing takes minutes,
// so each up goes on from what the one before has left.
func TestUpKilledWhileItInstalls(t *testing.T) {
	s := newSandbox(t, "e2e-cut-install")
	for _, line := range []string{"Istio ready", "mc-wan ready", "clusters joined"} {
		s.cutUp(line, "--clusters", "2")
	}
	s.mustRun("up")
	if st := s.status(); !st.Ready {
		t.Errorf("not ready after up: %+v", st)
	}
	s.mustRun("down")
	expectNoTraces(t, s.name, s.stateDir)
}

// cutUp starts up and kills it when it has printed a line.
func (s *sandbox) cutUp(line string, flags ...string) {
	s.t.Helper()
	cmd := exec.CommandContext(s.t.Context(), s.binary, append(s.args("up"), flags...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	var seen bytes.Buffer
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), line) {
		n, err := stderr.Read(buf)
		seen.Write(buf[:n])
		if err == io.EOF {
			s.t.Fatalf("up did not say %q:\n%s", line, seen.String())
		}
	}
	s.kill(cmd.Process.Pid)
	_ = cmd.Wait()
}

func share(a, b []string) bool {
	return slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
}

func TestSandboxesCoexist(t *testing.T) {
	one := newSandbox(t, "e2e-one")
	two := one.beside("e2e-two")
	one.mustRun("up", "--clusters", "1", "--no-istio")
	two.mustRun("up", "--clusters", "1", "--no-istio")
	if a, b := one.status().Clusters[0], two.status().Clusters[0]; a.API == b.API || share(a.PodCIDRs, b.PodCIDRs) || share(a.ServiceCIDRs, b.ServiceCIDRs) {
		t.Errorf("they share addresses: %+v and %+v", a, b)
	}
	elsewhere := exec.CommandContext(t.Context(), one.binary, "down", "--all", "--state-dir", filepath.Join(one.stateDir, "elsewhere"))
	one.command(elsewhere) // not those of this folder
	workload(one, "cluster-1")
	at := workload(two, "cluster-1")
	if out, err := one.get("cluster-1", "http://"+at["cluster-1"]+":8080/"); err == nil {
		t.Errorf("a pod reaches into the other sandbox: %s", out)
	}
	one.mustRun("down")
	expectNoTraces(t, one.name, one.stateDir)
	two.expectAnswer("cluster-1", "http://echo/")
	two.mustRun("down")
	expectNoTraces(t, two.name, two.stateDir)
	if left := files(t, "", two.stateDir); len(left) > 0 {
		t.Errorf("the state folder outlives the last sandbox: %v", left)
	}
}
