// SPDX-License-Identifier: Apache-2.0

package failover

import "strings"

func splitDocuments(text string) []string { return strings.Split(text, "\n---\n") }

const namespace = `apiVersion: v1
kind: Namespace
metadata: {name: failover}
`

const policies = `apiVersion: mcw.l7mp.io/v1alpha1
kind: WANPolicy
metadata: {name: failover-first}
spec:
  tunnel: business
  port: 31131
  sla: {latency-ms: 100, jitter-ms: 50, loss-percent: 1}
  standby: Warm
---
apiVersion: mcw.l7mp.io/v1alpha1
kind: WANPolicy
metadata: {name: failover-second}
spec:
  tunnel: default
  port: 31132
  sla: {latency-ms: 150, jitter-ms: 50, loss-percent: 2}
`

const clusterName = `apiVersion: v1
kind: ConfigMap
metadata: {name: cluster, namespace: failover}
data: {id: %s}
`

const backend = `apiVersion: v1
kind: Service
metadata: {name: target, namespace: failover}
spec:
  selector: {app: target}
  ports:
    - {name: http, port: 8080}
    - {name: grpc, port: 9090}
    - {name: tcp, port: 5432}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: target, namespace: failover}
spec:
  replicas: 2
  selector: {matchLabels: {app: target}}
  template:
    metadata: {labels: {app: target}}
    spec:
      containers:
        - name: target
          image: l7mp/mcwan-echo:dev
          imagePullPolicy: IfNotPresent
          resources: {requests: {cpu: 100m, memory: 32Mi}} # without, whatever else happens in the cluster comes first
          env:
            - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: CLUSTER, valueFrom: {configMapKeyRef: {name: cluster, key: id}}}
          readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
          securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 65532, capabilities: {drop: [ALL]}}
`

// caller is a client: its name, and whether it has a sidecar.
const caller = `apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s, namespace: failover}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s, sidecar.istio.io/inject: %[2]q}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: client
          image: l7mp/mcwan-client:dev
          imagePullPolicy: IfNotPresent
          resources: {requests: {cpu: 100m, memory: 128Mi}} # as much as a gateway: what is measured is not to wait for what measures
          securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 65532, capabilities: {drop: [ALL]}}
`
