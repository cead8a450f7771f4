// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/falcotest/go-falcotest/internal/kube/objects"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

// tests is what a test of a file may say: recorded events, or what is done on a cluster.
func tests() *testfile.Source {
	return &testfile.Source{
		Recorded: true,
		Keys: []*testfile.Field{
			testfile.Plus("objects", testfile.AnyOf("Objects that are created on the cluster, and deleted at the end: one, a list, or the path of a file of them, relative to this one. ${NAME} in them is a name that the test has to itself.", testfile.List, testfile.Object, testfile.Text)),
			testfile.Plus("requests", testfile.ListOf(requestShape(), 1, "Requests to the cluster's API server, in this order, after the objects.")),
		},
		Read: readWork,
		Does: "something to do on a cluster", Misplaced: "are made on a cluster, and judged by its audit events",
		Draft: draft,
	}
}

// requestShape is a request to the API server.
func requestShape() *testfile.Shape {
	path := testfile.Words("The path, such as /api/v1/namespaces/default/secrets/${NAME}?limit=5.")
	path.Checked(func(c *testfile.Checker, n *testfile.Node) {
		if !strings.HasPrefix(n.Str(), "/") || strings.ContainsAny(n.Str(), " \t\r\n") {
			c.Wrong(n, "such as /api/v1/namespaces/default/secrets/${NAME}", "%q is no path of a request", n.Str())
		}
	})
	status := testfile.Integer("The status that the server must answer with. Default: any, for rules look at requests.").Within(100, 599)
	return testfile.FieldsOf("A request to the API server.",
		testfile.Plus("method", testfile.Choice("The method. Default: GET.", "GET", "POST", "PUT", "PATCH", "DELETE")),
		testfile.Plus("path", path).Need(),
		testfile.Plus("body", testfile.AnyOf("What is sent: an object, or a text.", testfile.Object, testfile.List, testfile.Text)),
		testfile.Plus("contentType", testfile.Words("What the body is. Default: application/json, of PATCH application/merge-patch+json.")),
		testfile.Plus("user", testfile.Words("Who makes the request: a user that is made for the test and has no rights but those that all have. Default: the one of the kubeconfig.")),
		testfile.Plus("groups", testfile.ListOf(testfile.Words("A group."), 1, "The user's groups.")),
		testfile.Plus("status", status),
	).Checked(func(c *testfile.Checker, n *testfile.Node) {
		user, path := n.Get("user"), n.Get("path")
		if groups := n.Get("groups"); groups.Given() && !user.Given() {
			c.Wrong(groups, "add user", "there are groups, and no user")
		}
		method := n.Get("method").Str()
		if changes := method == "PUT" || method == "PATCH" || method == "DELETE"; changes && !user.Given() && path != nil &&
			!strings.Contains(path.Str(), "${NAME}") && !c.Open(path) {
			c.Wrong(path, "make it by objects, with the name ${NAME}", "the request %s %s would change what the test has not made", method, path.Str())
		}
	})
}

func readWork(c *testfile.Checker, n *testfile.Node) testfile.Work {
	w := &objects.Work{}
	if n := n.Get("objects"); n.Given() {
		w.Origin, w.Objects = readObjects(c, n)
	}
	requests := n.Get("requests")
	if !requests.Given() {
		return w
	}
	for _, item := range requests.Items() {
		q := objects.Request{
			Place: item.Place(), Method: cmp.Or(item.Get("method").Str(), "GET"), Path: item.Get("path").Str(),
			ContentType: item.Get("contentType").Str(), User: item.Get("user").Str(), Groups: item.Get("groups").Texts(),
		}
		if status := item.Get("status"); status.Given() {
			q.Status = int(status.Number())
		}
		switch body := item.Get("body"); {
		case !body.Given():
		case body.Kind() == testfile.Text:
			q.Body = body.Str()
		default:
			q.Body = string(c.JSON(body, "the body"))
		}
		w.Requests = append(w.Requests, q)
	}
	return w
}

// readObjects are those of a file, or those that stand here, and where they stand.
func readObjects(c *testfile.Checker, n *testfile.Node) (origin, text string) {
	if n.Kind() == testfile.Text {
		return c.Path(n), string(c.ReadFile(n, "the file of objects"))
	}
	var all []any
	for _, item := range n.Items() {
		for _, key := range []string{"apiVersion", "kind", "metadata"} {
			if !item.Get(key).Given() {
				c.Wrong(item, "an object as kubectl takes it", "an object lacks the key %s", key)
			}
		}
		all = append(all, item.Value())
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": all})
	if err != nil {
		c.Wrong(n, "", "the objects cannot be written as JSON: %v", err)
	}
	return n.Place(), string(data)
}

// draft is an event for a first test of a rule.
func draft(asked map[string][]string) string {
	first := func(field, other string) string {
		return cmp.Or(strings.Join(asked[field][:min(1, len(asked[field]))], ""), other)
	}
	object := fmt.Sprintf("resource: %q", first("ka.target.resource", "pods"))
	for _, part := range [][2]string{{"ka.target.subresource", "subresource"}, {"ka.target.namespace", "namespace"}, {"ka.target.name", "name"}} {
		if value := first(part[0], ""); value != "" {
			object += fmt.Sprintf(", %s: %q", part[1], value)
		}
	}
	return fmt.Sprintf(`    events:
      - {kind: Event, apiVersion: audit.k8s.io/v1, auditID: "1", stage: %q, stageTimestamp: "2026-01-01T00:00:00Z",
         verb: %q, user: {username: %q}, objectRef: {%s}, responseStatus: {code: %s}}
    expectedOutcome: {}
`, first("jevt.value[/stage]", "ResponseComplete"), first("ka.verb", "get"), first("ka.user.name", "someone"), object, first("ka.response.code", "200"))
}
