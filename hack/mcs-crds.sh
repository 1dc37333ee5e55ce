#!/usr/bin/env bash
# Copies the Multi-Cluster Services CRDs, unchanged, from the pinned module into the chart.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(go list -m -f '{{.Dir}}' sigs.k8s.io/mcs-api)
for f in "$dir"/config/crd/multicluster.x-k8s.io_*.yaml; do
  install -m 644 "$f" manifests/charts/mc-wan/crds/
done
