// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mcw "github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/tests/story"
)

// doubted is how long it may take until verdicts are in doubt: every hop must be found dead, and the feeds be asked.
const doubted = 30 * time.Second

// signalAPI sends a signal to a cluster's control plane: stopped in the middle of what it does, connections stay and
// nothing answers. The process that is API server, etcd and controller manager is found by its arguments, which lie in
// the sandbox's own folder.
func signalAPI(of func(*Bench) *story.Cluster, s syscall.Signal) action {
	return func(_ context.Context, b *Bench) error {
		pid, err := processWhose("cmdline", "\x00"+filepath.Join(b.StateDir, of(b).Name, "config", "args")+"\x00")
		if err != nil {
			return err
		}
		return syscall.Kill(pid, s)
	}
}

// processWhose is the process of which a file in /proc contains a text.
func processWhose(file, contains string) (int, error) {
	paths, err := filepath.Glob(filepath.Join("/proc/[0-9]*", file))
	if err != nil {
		return 0, err
	}
	for _, p := range paths {
		content, err := os.ReadFile(p)
		if err != nil || !bytes.Contains(content, []byte(contains)) {
			continue // one that has ended, or another
		}
		return strconv.Atoi(filepath.Base(filepath.Dir(p)))
	}
	return 0, fmt.Errorf("no process whose %s contains %q", file, contains)
}

// deafenProber drops what the consumer's controller itself sends to other clusters, as a NetworkPolicy for its pod would,
// and returns when its verdicts are in doubt. It reads the peers' feeds by way of the egress gateway all the while.
func deafenProber(ctx context.Context, b *Bench) error {
	rules, err := b.dropToExporters(ctx)
	if err != nil {
		return err
	}
	if err := b.filterProber(ctx, rules); err != nil {
		return err
	}
	return story.Eventually(ctx, doubted, "verdicts of all peers are in doubt", b.inDoubt)
}

// dropToExporters are nftables rules that drop what is sent to the exporters' gateways.
func (b *Bench) dropToExporters(ctx context.Context) (string, error) {
	var v4, v6 []string
	for _, exporter := range b.Exporters {
		addresses, err := exporter.GatewayAddresses(ctx, mcw.GatewayIngress)
		if err != nil {
			return "", err
		}
		for _, a := range addresses {
			ip, err := netip.ParseAddr(a)
			switch {
			case err != nil:
				return "", err
			case ip.Is4():
				v4 = append(v4, a)
			default:
				v6 = append(v6, a)
			}
		}
	}
	rules := "add chain " + proberTable + " out { type filter hook output priority 0; }\n"
	for family, addresses := range map[string][]string{"ip": v4, "ip6": v6} {
		if len(addresses) > 0 {
			rules += fmt.Sprintf("add rule %s out %s daddr { %s } drop\n", proberTable, family, strings.Join(addresses, ", "))
		}
	}
	return rules, nil
}

// inDoubt is an error while the consumer acts on its verdicts of an exporter.
func (b *Bench) inDoubt(ctx context.Context) error {
	for _, exporter := range b.Exporters {
		peer := &mcw.Peer{}
		if err := b.Consumer.Get(ctx, client.ObjectKey{Namespace: mcw.Namespace, Name: exporter.Name}, peer); err != nil {
			return err
		}
		if c := meta.FindStatusCondition(peer.Status.Conditions, mcw.ConditionHopsHealthy); c == nil || c.Reason != mcw.ReasonProbeBroken {
			return fmt.Errorf("those of %s are not: %+v", exporter.Name, c)
		}
	}
	return nil
}

func hearingProber(ctx context.Context, b *Bench) error { return b.filterProber(ctx, "") }

// proberTable is an nftables table in the network namespace of the controller's pod.
const proberTable = "inet mcwan_deaf"

// filterProber replaces the table by one with these rules, or by none, in all controllers of the consumer.
func (b *Bench) filterProber(ctx context.Context, rules string) error {
	pods, err := b.Consumer.ReadyPods(ctx, mcw.Namespace, client.MatchingLabels{"app": "mcw-controller"})
	if err != nil {
		return err
	}
	if len(pods) == 0 {
		return errors.New("no controller is ready")
	}
	script := fmt.Sprintf("add table %[1]s\ndelete table %[1]s\n", proberTable)
	if rules != "" {
		script += "add table " + proberTable + "\n" + rules
	}
	for _, p := range pods {
		pid, err := processWhose("cgroup", "/pod"+string(p.UID)+"/")
		if err != nil {
			return err
		}
		nft := exec.CommandContext(ctx, "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pid), "nft", "-f", "-")
		nft.Stdin = strings.NewReader(script)
		if out, err := nft.CombinedOutput(); err != nil {
			return fmt.Errorf("nft in the network of pod %s: %w: %s", p.Name, err, out)
		}
	}
	return nil
}
