// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// Rights writes what is there before runs and after them, as YAML: the namespace,
// and what those who drive runs may do, with the reason for each permission.
// Without subjects, they are a ServiceAccount that is made, too.
func Rights(w io.Writer, o Options, drivers ...rbacv1.Subject) error {
	o = o.withDefaults()
	d := documents{w: w}
	if !o.CreateNamespace {
		d.object(fmt.Sprintf("Where the pods run. They need Pod Security %q%s. Have nothing else in it: who may\nmake Jobs in a namespace can run as any of its service accounts, and read its secrets.", o.Level(), whyLevel(o)), Namespace(o))
		if len(drivers) == 0 {
			d.object("Who drives runs. For people or another account: -driver User:NAME, Group:NAME or\nServiceAccount:NAMESPACE/NAME.", DriverAccount(o))
			drivers = []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: Driver, Namespace: o.Namespace}}
		}
	} else if len(drivers) == 0 {
		return fmt.Errorf("a run that makes its namespace cannot be driven by an account in it: say who drives it (-driver)")
	}
	namespaced, inDefault, cluster := Permissions(o)
	for _, role := range Roles(o) {
		if role.Namespace == o.Namespace {
			d.rules("What a run does in its namespace.", role, namespaced)
		} else {
			d.rules("", role, inDefault)
		}
		d.object("", RoleBinding(role, drivers...))
	}
	d.rules("What a run does in the whole cluster.", ClusterRole(o), cluster)
	d.object("", ClusterRoleBinding(drivers...))
	return d.err
}

func whyLevel(o Options) string {
	switch j, _ := judgeOf(o.Falco); {
	case o.Profile == Privileged:
		return ", since the profile privileged makes privileged containers"
	case j.socket != "":
		return ", since they mount the node's folder with Falco's socket,\nthough they are ordinary pods else"
	}
	return ""
}

// Run writes what a run makes, and deletes at its end, as YAML, with the Jobs of
// the nodes given.
func Run(w io.Writer, o Options, nodes ...string) error {
	o = o.withDefaults()
	d := documents{w: w}
	if o.CreateNamespace {
		d.object("The run's namespace.", Namespace(o))
	}
	d.object("What owns all that follows, so that it goes with this Job, which starts no pod: at the end of the run or, if\nthat was killed, when the Job is past its deadline and its time to live. With many nodes the deadline is longer.",
		Anchor(o, o.Deadline+time.Minute))
	d.object("The run's sign of life: what a run has left that does not renew it, the next one deletes.",
		Lease(o, "HOST:PID", time.Minute, time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)))
	d.object("Whom the pods run as. It has no rights.", ServiceAccount(o))
	if s := Service(o); s != nil {
		d.object("Where each node's Falco posts its alerts: to the pod on the same node alone.", s)
	}
	for _, node := range nodes {
		d.object("The tests on a node. It deletes itself some time after its end, should nobody else do it.", Job(o, node))
	}
	return d.err
}

// documents writes objects as documents of YAML, until the first error.
type documents struct {
	w   io.Writer
	err error
}

func (d *documents) write(comment string, text []byte) {
	if d.err != nil {
		return
	}
	_, d.err = fmt.Fprintf(d.w, "---\n%s%s", commented(comment, ""), text)
}

func commented(text, indent string) string {
	if text == "" {
		return ""
	}
	return indent + "# " + strings.ReplaceAll(text, "\n", "\n"+indent+"# ") + "\n"
}

func (d *documents) object(comment string, o runtime.Object) {
	text, err := marshal(o)
	if err != nil {
		d.err = err
		return
	}
	d.write(comment, text)
}

// rules writes a role with the reason before each of its rules.
func (d *documents) rules(comment string, role interface {
	runtime.Object
	metav1.Object
}, permissions []Permission) {
	text, err := marshal(role)
	if err != nil {
		d.err = err
		return
	}
	head, rules, _ := bytes.Cut(text, []byte("rules:\n"))
	out := append(bytes.Clone(head), "rules:\n"...)
	const item = "- apiGroups:"
	n := 0
	for line := range bytes.Lines(rules) {
		if bytes.HasPrefix(line, []byte(item)) && n < len(permissions) {
			out = append(out, commented(permissions[n].Why, "")...)
			n++
		}
		out = append(out, line...)
	}
	d.write(comment, out)
}

// marshal renders an object without its status, which is not ours to say.
func marshal(o runtime.Object) ([]byte, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return nil, fmt.Errorf("writing a manifest: %w", err)
	}
	delete(content, "status")
	if spec, ok := content["spec"].(map[string]any); ok && len(spec) == 0 {
		delete(content, "spec")
	}
	text, err := yaml.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("writing a manifest: %w", err)
	}
	return text, nil
}
