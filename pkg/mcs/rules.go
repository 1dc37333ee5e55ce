// SPDX-License-Identifier: Apache-2.0

package mcs

import "github.com/l7mp/mc-wan/api/mcw/v1alpha1"

type export = v1alpha1.ServiceAdvertisementSpec

type rule func(exports []export, m *Merged) *Conflict

func rules() []rule { return nil }

func sift(exports []export) ([]export, []Ignored) { return exports, nil }

func mergePolicy(exports []export, m *Merged) *Conflict { return nil }
