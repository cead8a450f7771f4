// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"fmt"
	"io"
	"strings"
)

// extraFields are the output fields that connect an alert with its action; see
// JUDGES.md.
const extraFields = `  # So that each alert is known to be an action's, whatever its rule prints.
  append_output:
    - suggested_output: true  # the chart's own, which this list replaces
    - match: {source: syscall}
      extra_fields: ["proc.env[FALCOTEST_ID]", "proc.aenv[FALCOTEST_ID]", "proc.pid", "proc.ppid", "proc.sid", "thread.tid", "evt.type"]
`

// Values writes the lines for the values of Falco's chart
// (falcosecurity/charts, charts/falco) that let the Falco of each node judge. The
// sentinel is a rules file for it, by whose alerts it tells how far it has come.
func Values(w io.Writer, o Options, sentinel string) error {
	o = o.withDefaults()
	j, err := judgeOf(o.Falco)
	if err != nil {
		return err
	}
	custom := "# So that a miss is told at once, and a silence proves something.\ncustomRules:\n  falcotest.yaml: |-\n"
	for line := range strings.Lines(sentinel) {
		custom += "    " + line
	}
	var b strings.Builder
	switch {
	case j.socket != "":
		fmt.Fprintf(&b, `# Values of Falco's chart, for Falco 0.43 and older. The chart puts the socket into the
# same folder of the node, which the pods mount.
falco:
  grpc:
    enabled: true
    bind_address: unix:///%s
  grpc_output:
    enabled: true
%s%s`, strings.TrimLeft(strings.TrimPrefix(j.url, "unix:"), "/"), extraFields, custom)
	case j.port != 0:
		scheme := "http"
		if j.secure {
			scheme = "https"
		}
		url := fmt.Sprintf("%s://%s.%s.svc:%d%s", scheme, ServiceName, o.Namespace, j.port, j.path)
		fmt.Fprintf(&b, `# Values of Falco's chart, for any version, and from 0.44 on the only way. The Service
# hands alerts to the pod on the Falco's own node; between runs there is none, and Falco
# says in its log that it cannot post.
falco:
  json_output: true
  http_output:
    enabled: true
    url: %[1]s
%[2]s%[3]s
# Where http_output posts to Falcosidekick already, which runs on few nodes, leave it, and
# have Falco post to the pod by a program, too: the chart's image.tag VERSION-debian has curl.
#
# falco:
#   json_output: true
#   program_output:
#     enabled: true
#     keep_alive: false
#     program: "curl -s -m 5 -H 'Content-Type: application/json' -d @- %[1]s"
#
# Where Falcosidekick runs on every node, beside each Falco, it can pass them on itself:
#
# falcosidekick:
#   config:
#     webhook:
#       address: %[1]s
`, url, extraFields, custom)
	default:
		fmt.Fprintf(&b, "# The judge %s is in the pods: no Falco of the cluster is asked, and none needs other values.\n", o.Falco)
	}
	_, err = io.WriteString(w, b.String())
	return err
}
