// SPDX-License-Identifier: Apache-2.0

package audit_test

import (
	"os"
	"strings"
	"testing"

	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
	"github.com/google/go-cmp/cmp"
)

// read returns the values of a field written as in a condition, nil if it has
// none, and whether it is a list.
func read(t *testing.T, e *audit.Event, field string) (values []string, list bool) {
	t.Helper()
	name, arg, hasArg := strings.Cut(strings.TrimSuffix(field, "]"), "[")
	f, err := audit.Source().Field(name, arg, hasArg)
	if err != nil {
		t.Fatal(err)
	}
	var v filter.Value
	if !f.Get(e, &v) {
		return nil, f.List
	}
	if !f.List {
		if f.Format != nil {
			return []string{f.Format(e, &v)}, false
		}
		return []string{v.Str}, false
	}
	for _, el := range v.List {
		values = append(values, el.Str)
	}
	return values, true
}

func decodeFile(t testing.TB, file string) []*audit.Event {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	events, err := audit.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// What Falco's plugins give for the same events, worked out from their code.
func TestExtract(t *testing.T) {
	events := map[string]*audit.Event{}
	for _, e := range decodeFile(t, "testdata/events.json") {
		events[e.Text("auditID")] = e
	}
	tests := []struct {
		event, field string
		want         []string
	}{
		{"pod", "ka.auditid", []string{"pod"}},
		{"pod", "ka.stage", []string{"ResponseComplete"}},
		{"pod", "ka.auth.decision", []string{"allow"}},
		{"pod", "ka.user.name", []string{"kubernetes-admin"}},
		{"pod", "ka.user.groups", []string{"system:masters", "system:authenticated"}},
		{"pod", "ka.impuser.name", []string{"alice"}},
		{"pod", "ka.uri.param[fieldManager]", []string{"a b"}},
		{"pod", "ka.uri.param[absent]", nil},
		{"pod", "ka.target.name", []string{"p"}},
		{"pod", "ka.target.subresource", nil},
		{"pod", "ka.target.pod.name", []string{"p"}},
		{"pod", "ka.req.pod.containers.name", []string{"a", "b"}},
		{"pod", "ka.req.pod.containers.name[1]", []string{"b"}},
		{"pod", "ka.req.pod.containers.name[2]", nil},
		{"pod", "ka.req.pod.containers.image", []string{"docker.io/library/nginx:1.2", "localhost:5000/x@sha256:ab"}},
		{"pod", "ka.req.pod.containers.image.repository", []string{"docker.io/library/nginx", "localhost"}},
		{"pod", "ka.req.container.image", []string{"docker.io/library/nginx:1.2"}},
		{"pod", "ka.req.container.image.repository", []string{"docker.io/library/nginx"}},
		{"pod", "ka.req.pod.containers.command", []string{"sh -c id"}},
		{"pod", "ka.req.pod.containers.args", nil},
		{"pod", "ka.req.pod.containers.privileged", []string{"true"}},
		{"pod", "ka.req.pod.containers.privileged[0]", nil},
		{"pod", "ka.req.pod.containers.privileged[1]", []string{"true"}},
		{"pod", "ka.req.container.privileged", []string{"true"}},
		{"pod", "ka.req.pod.containers.add_capabilities", []string{`["NET_ADMIN","SYS_TIME"]`}},
		{"pod", "ka.req.pod.containers.run_as_user", []string{"0"}},
		{"pod", "ka.req.pod.containers.eff_run_as_user", []string{"0", "0"}},
		{"pod", "ka.req.pod.containers.host_port", []string{"8080", "53"}},
		{"pod", "ka.req.pod.initContainers.image", nil},
		{"pod", "ka.req.pod.host_network", []string{"true"}},
		{"pod", "ka.req.pod.host_pid", nil},
		{"pod", "ka.req.pod.fs_group", []string{"12"}},
		{"pod", "ka.req.pod.supplemental_groups", []string{"1", "2"}},
		{"pod", "ka.req.pod.volumes.hostpath", []string{"/etc", "/proc"}},
		{"pod", "ka.req.pod.volumes.hostpath[0]", []string{"/etc"}},
		{"pod", "ka.req.pod.volumes.hostpath[1]", nil},
		{"pod", "ka.req.volume.hostpath[/etc]", []string{"true"}},
		{"pod", "ka.req.volume.hostpath[/e*]", []string{"true"}},
		{"pod", "ka.req.volume.hostpath[/proc]", []string{"false"}},
		{"pod", "ka.req.pod.volumes.volume_type", []string{"hostPath", "emptyDir", "hostPath"}},
		{"pod", "ka.req.pod.volumes.volume_type[1]", []string{"emptyDir"}},
		{"pod", "ka.resp.name", []string{"p"}},
		{"pod", "ka.response.code", []string{"201"}},
		{"pod", "ka.response.reason", nil},
		{"pod", "ka.useragent", []string{"test/1"}},
		{"pod", "ka.sourceips", nil},
		{"pod", "ka.req.binding.subject.has_name[x]", []string{"true"}},
		{"pod", "ka.req.binding.subjects.user_names", nil},
		{"pod", "jevt.value[/stage]", []string{"ResponseComplete"}},
		{"pod", "jevt.value[stage]", []string{"ResponseComplete"}},
		{"pod", "json.value[/annotations/authorization.k8s.io~1decision]", []string{"allow"}},
		{"pod", "jevt.value[/requestObject/spec/containers/0/command]", []string{`["sh","-c","id"]`}},
		{"pod", "jevt.value[/requestObject/spec/containers/0/command/2]", []string{"id"}},
		{"pod", "jevt.value[/requestObject/spec/tls]", nil},
		{"pod", "jevt.rawtime", []string{"1795397645000000001"}},
		{"pod", "evt.source", []string{"k8s_audit"}},
		{"pod", "evt.pluginname", []string{"k8saudit"}},
		{"pod", "evt.time.iso8601", []string{"2026-11-23T01:34:05.000000001+0000"}},
		{"pod", "evt.rawtime.ns", []string{"000000001"}},
		{"pod", "evt.asynctype", nil},

		{"role", "ka.req.role.rules", []string{`{"apiGroups":[""],"resources":["pods","secrets"],"verbs":["get"]}`, `{"nonResourceURLs":["/metrics"],"verbs":["*"]}`}},
		{"role", "ka.req.role.rules.verbs", []string{"get", "*"}},
		{"role", "ka.req.role.rules.verbs[0]", []string{"get"}},
		{"role", "ka.req.role.rules.resources", []string{"pods", "secrets"}},
		{"role", "ka.req.role.rules.resources[1]", nil},
		{"role", "ka.req.role.rules.apiGroups", []string{""}},
		{"role", "ka.req.role.rules.nonResourceURLs", []string{"/metrics"}},

		{"binding", "ka.req.binding.role", []string{"cluster-admin"}},
		{"binding", "ka.req.binding.subjects", []string{`{"kind":"User","name":"u"}`, `{"kind":"Group","name":"g"}`, `{"kind":"ServiceAccount","name":"s","namespace":"n"}`, `{"kind":"ServiceAccount","name":"t"}`}},
		{"binding", "ka.req.binding.subjects.user_names", []string{"u"}},
		{"binding", "ka.req.binding.subjects.group_names", []string{"g"}},
		{"binding", "ka.req.binding.subjects.serviceaccount_names", []string{"s", "t"}},
		{"binding", "ka.req.binding.subjects.serviceaccount_ns_names", []string{"n:s"}},

		{"configmap", "ka.req.configmap.name", []string{"c"}},
		{"configmap", "ka.req.configmap.obj", []string{`{"b":"pass\nword","a":"1 2"}`}},
		{"configmap", "jevt.value[/requestObject/data/b]", []string{"pass\nword"}},
		{"configmap", "ka.uri.param[x]", nil},
		{"configmap", "ka.req.service.ports", []string{`[{"port":80},{"port":81}]`}},
		{"configmap", "ka.req.service.type", []string{"null"}},
		{"configmap", "ka.cluster.name", []string{"prod"}},
		{"configmap", "ka.target.subresource", []string{"a"}},
		{"configmap", "evt.reltime.ns", []string{"500000000"}},
	}
	for _, tt := range tests {
		t.Run(tt.event+"/"+tt.field, func(t *testing.T) {
			e := events[tt.event]
			if e == nil {
				t.Fatalf("no event %q", tt.event)
			}
			got, _ := read(t, e, tt.field)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("values (-want +got):\n%s", d)
			}
		})
	}
}

// What conditions read most is read without allocation.
func TestNoAllocations(t *testing.T) {
	e := decodeFile(t, "testdata/events.json")[0]
	for _, field := range []string{"ka.verb", "ka.target.resource", "jevt.value[/stage]", "ka.response.code", "ka.req.container.privileged"} {
		name, arg, hasArg := strings.Cut(strings.TrimSuffix(field, "]"), "[")
		f, err := audit.Source().Field(name, arg, hasArg)
		if err != nil {
			t.Fatal(err)
		}
		var v filter.Value
		if n := testing.AllocsPerRun(100, func() { f.Get(e, &v) }); n != 0 {
			t.Errorf("%s: %v allocations", field, n)
		}
	}
}
