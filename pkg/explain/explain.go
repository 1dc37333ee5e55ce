// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	mcsv1beta1 "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/l7mp/mc-wan/api/mcw/v1alpha1"
	mcwanv1alpha1 "github.com/l7mp/mc-wan/api/mcwan/v1alpha1"
	"github.com/l7mp/mc-wan/pkg/mcs"
	"github.com/l7mp/mc-wan/pkg/snapshot"
	"github.com/l7mp/mc-wan/pkg/translate"
)

// explanation is an answer while it is found.
type explanation struct {
	l    snapshot.Lister
	key  types.NamespacedName
	in   translate.LegInput
	port mcs.MergedPort
	// dummy is the dummy Service that is asked about; nil for the import itself.
	dummy *translate.Dummy
	asked
	Answer
}

// Explain says what becomes of a request. An error says what is wrong with the question, or that nobody exports the service.
func Explain(l snapshot.Lister, mesh Mesh, q Question) (Answer, error) {
	name, namespace, ok := strings.Cut(q.Service, "/")
	if !ok || name == "" || namespace == "" {
		return Answer{}, fmt.Errorf("service: %q is not NAME/NAMESPACE, such as payment/secure", q.Service)
	}
	q.Method, q.Path = cmp.Or(strings.ToUpper(q.Method), "GET"), cmp.Or(q.Path, "/")
	if !strings.HasPrefix(q.Path, "/") {
		return Answer{}, fmt.Errorf("path: %q does not begin with a slash", q.Path)
	}
	e := &explanation{l: l, key: types.NamespacedName{Namespace: namespace, Name: name}}
	if namespace == v1alpha1.Namespace {
		if key, dummy := dummyNamed(l, name); dummy != nil {
			e.key, e.dummy = key, dummy
		}
	}
	e.in = snapshot.ImportInput(l, e.key)
	if err := e.choosePort(q.Port); err != nil {
		return Answer{}, err
	}
	if err := e.stands(mesh); err != nil {
		return Answer{}, err
	}
	q.Port = e.port.Port
	e.Answer.Question, e.asked = q, ask(q, mesh)
	if e.path != before(q.Path) {
		e.ReadAs = e.path
	}
	e.objects()
	e.Elsewhere = e.elsewhere(mesh)
	if !translate.IsHTTP(e.port.ServicePort) {
		e.connections()
		return e.Answer, nil
	}
	e.requests()
	return e.Answer, nil
}

// choosePort finds the port that is asked about.
func (e *explanation) choosePort(number int32) error {
	m := e.in.Merged
	if !m.Exported() {
		return fmt.Errorf("no cluster exports a service %s/%s to this one", e.key.Name, e.key.Namespace)
	}
	if e.dummy != nil && e.dummy.Port == number {
		number = 0 // the policy's own port, which leads to the first HTTP port
	}
	var known []string
	for _, p := range m.Ports {
		if !mcs.Carried(p.Protocol) {
			continue
		}
		if p.Port == number || (number == 0 && translate.IsHTTP(p.ServicePort)) {
			e.port = p
			return nil
		}
		known = append(known, fmt.Sprint(p.Port))
	}
	if number == 0 {
		return fmt.Errorf("port: %s/%s has no HTTP port; name one of %s", e.key.Name, e.key.Namespace, strings.Join(known, ", "))
	}
	return fmt.Errorf("port: %s/%s has no TCP port %d; there are: %s", e.key.Name, e.key.Namespace, number, strings.Join(known, ", "))
}

// requests answers for a port whose requests are routed one by one.
func (e *explanation) requests() {
	if e.dummy != nil {
		e.byExport()
		return
	}
	rules, whose := e.rulesInForce()
	hits, misses, forPort := choose(rules, e.port.Port, e.asked)
	if !forPort {
		e.byExport()
		return
	}
	e.Rules = whose
	if !mcs.RulesWithin(rules, mcwanv1alpha1.MaxRulesBytes) {
		e.answer(Failed, 500, "the rules have more than %d bytes", mcwanv1alpha1.MaxRulesBytes)
		return
	}
	for _, at := range slices.SortedFunc(maps.Keys(misses), place.compare) {
		e.Others = append(e.Others, Other{at.String(), misses[at]})
	}
	if len(hits) == 0 {
		e.answer(Denied, 403, "no rule matches")
		return
	}
	for _, h := range hits[1:] {
		e.Others = append(e.Others, Other{h.String(), "it matches too, but " + beatenBy(hits[0], h)})
	}
	e.Rule = hits[0].String()
	e.follow(rules[hits[0].rule], hits[0].rule)
	e.atIngress()
}

func (e *explanation) answer(v Verdict, status int, format string, args ...any) {
	e.Verdict, e.Status, e.Reason = v, status, fmt.Sprintf(format, args...)
}

// rulesInForce are the consumer's if it has some and the owner lets it, else the owner's; whose they are in words.
func (e *explanation) rulesInForce() ([]mcwanv1alpha1.HTTPRule, string) {
	switch {
	case e.rulesOfOwner():
		return e.in.Merged.Rules.HTTP.Rules, fmt.Sprintf("ServiceExport.%s %s/%s of the service's owner", mcwanv1alpha1.GroupName, e.key.Namespace, e.key.Name)
	case e.in.Rules != nil:
		whose := fmt.Sprintf("ServiceImport.%s %s/%s", mcwanv1alpha1.GroupName, e.key.Namespace, e.key.Name)
		if e.in.Merged.Rules != nil {
			whose += ", in place of the owner's"
		}
		return e.in.Rules.Spec.HTTP.Rules, whose
	}
	return nil, ""
}

// rulesOfOwner says that the rules in force are the owner's.
func (e *explanation) rulesOfOwner() bool {
	owner := e.in.Merged.Rules
	return owner != nil && (e.in.Rules == nil || owner.ConsumerRules == mcwanv1alpha1.ConsumerRulesRefused)
}

// byExport: no rule is for the port, so the WAN policy of the export holds, or that of the dummy Service.
func (e *explanation) byExport() {
	reason := "no rule is for port %d; the WANPolicy of the export holds"
	if e.in.Merged.WANPolicy == "" {
		reason = "no rule is for port %d and the export names no WANPolicy; the default holds"
	}
	policy, reason := e.over(fmt.Sprintf(reason, e.port.Port))
	if policy == "" {
		e.answer(Failed, 503, "the exports name no WANPolicy and this cluster has no default")
		return
	}
	e.forward([]share{{policy: policy, weight: 1}}, reason+", "+policy)
	e.atIngress()
}

// follow says what a rule does.
func (e *explanation) follow(r mcwanv1alpha1.HTTPRule, index int) {
	byOwner := e.rulesOfOwner()
	if ports := servicePorts(e.in.Merged); e.broken(r, ports, byOwner) {
		e.answer(Failed, 500, "the rule cannot be carried out: %s", e.whyBroken(r, index, ports, byOwner))
		return
	}
	for _, f := range r.Filters {
		if f.RequestRedirect != nil {
			status := 302
			if f.RequestRedirect.StatusCode != nil {
				status = *f.RequestRedirect.StatusCode
			}
			e.answer(Redirected, status, "the rule redirects%s", targetOf(*f.RequestRedirect))
			return
		}
	}
	e.Limits = limitsOf(r)
	shares := e.sharesOf(r, index)
	switch leads := func(s share) bool { return s.policy != "" }; {
	case len(shares) == 0:
		e.answer(Failed, 500, "rules[%d].backendRefs: there is none with a weight above 0; a rule needs one, or a RequestRedirect", index)
		return
	case !slices.ContainsFunc(shares, leads):
		e.answer(Failed, 500, "%s", shares[0].lost)
		return
	}
	e.forward(shares, "the rule matches")
	e.Changes = changesOf(r.Filters)
	for _, f := range r.Filters {
		if f.RequestMirror != nil {
			e.copy(*f.RequestMirror)
		}
	}
}

// limitsOf are a rule's timeouts and retries in words.
func limitsOf(r mcwanv1alpha1.HTTPRule) string {
	var out []string
	if t := r.Timeouts; t != nil && t.Request != nil {
		out = append(out, "request "+string(*t.Request))
	}
	if t := r.Timeouts; t != nil && t.BackendRequest != nil {
		out = append(out, "each try "+string(*t.BackendRequest))
	}
	if r.Retry != nil && r.Retry.Attempts != nil {
		out = append(out, fmt.Sprintf("%d retries", *r.Retry.Attempts))
	} else if r.Retry != nil {
		out = append(out, "retries")
	}
	if r.Retry != nil && len(r.Retry.Codes) > 0 {
		out = append(out, "upon "+strings.Trim(fmt.Sprint(r.Retry.Codes), "[]"))
	}
	return strings.Join(out, ", ")
}

// share is a policy's part of a rule's requests; without a policy it is lost.
type share struct {
	policy, lost string
	weight       int32
}

// sharesOf are the policies that a rule's references stand for.
func (e *explanation) sharesOf(r mcwanv1alpha1.HTTPRule, index int) []share {
	var out []share
	for i, ref := range r.BackendRefs {
		s := share{weight: 1}
		if ref.Weight != nil {
			s.weight = *ref.Weight
		}
		if s.weight <= 0 {
			continue
		}
		policy, ofService := strings.CutPrefix(string(ref.Name), e.key.Name+"-"+e.key.Namespace+"-")
		switch field := fmt.Sprintf("rules[%d].backendRefs[%d]", index, i); {
		case ref.Namespace != "" && ref.Namespace != v1alpha1.Namespace:
			s.lost = fmt.Sprintf("%s.namespace: dummy Services are in namespace %s, not in %s", field, v1alpha1.Namespace, ref.Namespace)
		case !ofService || !slices.Contains(e.in.Offered, policy):
			s.lost = fmt.Sprintf("%s.name: %s stands for no WANPolicy on which an exporter of this service receives; these do: %s", field, ref.Name, e.dummies())
		default:
			s.policy = policy
		}
		out = append(out, s)
	}
	return out
}

// dummies are the names that references may have.
func (e *explanation) dummies() string {
	var out []string
	for _, policy := range e.in.Offered {
		out = append(out, e.key.Name+"-"+e.key.Namespace+"-"+policy)
	}
	return cmp.Or(strings.Join(out, ", "), "none")
}

// atIngress adds what the owner's rules say where requests arrive. They are the last word on what is denied. What the
// consumer's filters change on the way is left out of account.
func (e *explanation) atIngress() {
	if e.Verdict != Forwarded {
		return
	}
	arrive, status := 0, map[int]int{}
	for i := range e.Routes {
		if r := &e.Routes[i]; r.Policy != "" {
			r.Ingress, r.Status = e.ingressOf(r.Cluster)
			arrive++
			status[r.Status]++
		}
	}
	switch {
	case arrive == 0:
	case status[403] == arrive:
		e.answer(Denied, 403, "the rules of the service's owner deny it, at the ingress gateway of every exporter")
	case status[500] == arrive:
		e.answer(Failed, 500, "a rule of the service's owner cannot be carried out, at the ingress gateway of every exporter")
	}
}

// ingressOf is what the owner's rules say at the ingress gateway of a cluster, with the status that it answers itself.
func (e *explanation) ingressOf(cluster string) (string, int) {
	at := slices.IndexFunc(e.in.Exports, func(x v1alpha1.ServiceAdvertisementSpec) bool { return x.ClusterID == cluster })
	if at < 0 {
		return "", 0
	}
	owner := e.rulesAt(e.in.Exports[at])
	if owner == nil {
		return "", 0
	}
	hits, _, forPort := choose(owner.HTTP.Rules, e.port.Port, e.asked)
	switch {
	case !mcs.RulesWithin(owner.HTTP.Rules, mcwanv1alpha1.MaxRulesBytes):
		return "fails, its rules are too large (500)", 500
	case !forPort:
		return "", 0
	case len(hits) == 0:
		return "denied (403)", 403
	}
	if e.broken(owner.HTTP.Rules[hits[0].rule], advertisedPorts(e.in.Exports[at]), true) {
		return fmt.Sprintf("fails by %s (500)", hits[0]), 500
	}
	redirects := func(f gatewayv1.HTTPRouteFilter) bool { return f.RequestRedirect != nil }
	if slices.ContainsFunc(owner.HTTP.Rules[hits[0].rule].Filters, redirects) {
		return fmt.Sprintf("denied by %s, which redirects (403)", hits[0]), 403
	}
	return "allowed by " + hits[0].String(), 0
}

// rulesAt are the owner's rules that a cluster's ingress gateway keeps: of the own cluster also those that cannot be told to
// others.
func (e *explanation) rulesAt(export v1alpha1.ServiceAdvertisementSpec) *mcwanv1alpha1.ServiceExportSpec {
	if export.ClusterID != e.l.Self().ID {
		return export.Rules
	}
	if own := e.l.OwnerRules(e.key.Namespace, e.key.Name); own != nil {
		return &own.Spec
	}
	return nil
}

// objects are those of this cluster by name, and the name by which clients know them.
func (e *explanation) objects() {
	e.Host = translate.ClusterSetHost(e.key.Name, e.key.Namespace)
	e.Objects = append(e.Objects, fmt.Sprintf("ServiceImport.%s %s/%s", mcsv1beta1.GroupName, e.key.Namespace, e.key.Name))
	if e.headless() {
		e.endpointObjects()
		return
	}
	leg, service := translate.LegName(e.key.Namespace, e.key.Name, e.port.Port), translate.DerivedServiceName(e.key.Namespace, e.key.Name)
	if e.dummy != nil {
		leg, service = translate.DummyLegName(e.key.Namespace, e.key.Name, e.port.Port, e.dummy.Policy), e.dummyName()
		e.Host = translate.LocalHost(service, v1alpha1.Namespace)
	}
	e.Objects = append(e.Objects,
		fmt.Sprintf("Service %s/%s", v1alpha1.Namespace, service),
		fmt.Sprintf("Gateway.networking.istio.io %s/%s", v1alpha1.Namespace, leg),
		fmt.Sprintf("VirtualService.networking.istio.io %s/%s", v1alpha1.Namespace, leg))
}
