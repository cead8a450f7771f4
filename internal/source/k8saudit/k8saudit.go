// SPDX-License-Identifier: Apache-2.0

// Package k8saudit is the source of Kubernetes audit events: the fields of
// internal/source/k8saudit/audit, recordings as an API server's audit log is, and a sentinel that
// asks an API server for a config map which does not exist.
//
// A session's cluster is one that there is, or an etcd and a kube-apiserver that are
// started for the first session that needs them. Their audit events come in by the
// endpoint of internal/source/k8saudit/audit; they go to the engine that judges, and to the plugin of
// a Falco that does. It imports internal/source, to which it hands itself,
// internal/testfile, for what tests may say of it, internal/source/k8saudit/audit, internal/kube and
// internal/config.
package k8saudit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/source/k8saudit/audit"
)

// Name is the name of the source in rules.
const Name = audit.SourceName

func init() {
	source.Register(source.Source{
		Name:    Name,
		Events:  "audit events",
		Need:    events.Cluster.Name,
		Fields:  audit.Source,
		Plugins: audit.Plugins,
		// Actions ask with a user agent that has their id.
		Correlation: []string{"ka.useragent"},
		Sentinel:    source.Sentinel{Rule: "Falcotest Audit Sentinel", YAML: sentinel},
		Plugin: &source.Plugin{
			Name:   "k8saudit", // those of managed clusters, too: k8saudit-eks and others
			Beside: []string{"json"},
			Open:   freePort,
			Address: func(params string) string {
				// The plugin opens what its open parameters name; see its README.
				if strings.HasPrefix(params, "http://") || strings.HasPrefix(params, "https://") {
					return params
				}
				return ""
			},
		},
		Late:  "this Falco's alerts on Kubernetes audit events came up to %v late; on a machine of few processors, give its plugins k8saudit and json the init_config {useAsync: false}, or start it with GOMAXPROCS=1",
		Open:  func(s *config.Settings) source.Live { return newCluster(s.Kubernetes) },
		Close: closeEmbedded,
		Recording: &source.Recording{
			Is: isJSON,
			Read: func(_ context.Context, r io.Reader, _ []string, handle func(event any)) (uint64, error) {
				events, err := audit.Decode(r)
				for _, e := range events {
					handle(e)
				}
				return uint64(len(events)), err
			},
		},
		Tests: tests(),
	})
}

const sentinel = `- rule: Falcotest Audit Sentinel
  desc: >
    A test has ended: what it asked of the API server has been judged once this
    alert comes.
  condition: ka.verb = get and ka.uri contains /configmaps/` + source.SentinelName + `
  output: falcotest sentinel (uri=%ka.uri)
  priority: DEBUG
  source: k8s_audit
  tags: [falcotest]
`

// freePort has the plugin listen on a free port of the loopback interface.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a port for the plugin k8saudit: %w", err)
	}
	defer l.Close()
	return "http://" + l.Addr().String() + "/k8s-audit", nil
}

// isJSON tells recorded audit events from what is no JSON.
func isJSON(head []byte) bool {
	text := bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n")
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}
