// SPDX-License-Identifier: Apache-2.0

package snapshot

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/advertise"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/ports"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// Cards are the cards of the own cluster and of every accepted peer as they may be believed, see translate.EffectiveCard.
func Cards(l Lister) []v1alpha1.ClusterAdvertisementSpec { return nil }

// Exports are the advertisements of a service that count: the own one and those of clusters that may import into the
// namespace, each cluster once.
func Exports(l Lister, key types.NamespacedName) []v1alpha1.ServiceAdvertisementSpec { return nil }

// Merged is the service as all exporters together describe it.
func Merged(l Lister, key types.NamespacedName) mcs.Merged { return mcs.Merged{} }

// LegPorts allocates the listener ports of an import's TCP service ports. The table that comes back is to be written
// before anything that uses the ports; if it is Equal to the one of the Lister nothing has to be written. Service ports
// for which nothing is left are missing in the map. Ports of service ports that are no longer there are released.
func LegPorts(table ports.Table, merged mcs.Merged, key types.NamespacedName) (ports.Table, map[int32]translate.LegPorts) {
	return table, nil
}

// AdvertiseInput collects what one export's advertisement is made of. Draining and DrainDeadline are the caller's.
func AdvertiseInput(l Lister, key types.NamespacedName) advertise.Input { return advertise.Input{} }

// ImportInput collects what the legs of one import are made of. Ports come from the Lister's table, see LegPorts.
func ImportInput(l Lister, key types.NamespacedName) translate.LegInput { return translate.LegInput{} }

// ExportInput collects what the ingress side of one export is made of; false if this cluster does not advertise it.
func ExportInput(l Lister, key types.NamespacedName) (translate.ExportInput, bool) {
	return translate.ExportInput{}, false
}

// PathInput collects what a path is made of.
func PathInput(l Lister, key translate.PathKey) translate.PathInput { return translate.PathInput{} }

// FleetInput collects what the fleet's objects are made of.
func FleetInput(l Lister) translate.FleetInput { return translate.FleetInput{} }
