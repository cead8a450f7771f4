// SPDX-License-Identifier: Apache-2.0

package k8saudit_test

import (
	"errors"
	"flag"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"k8s.io/klog/v2"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/events/k8saudit"
)

// Every file can be parsed, and its objects have names of their own.
func TestFiles(t *testing.T) {
	found, err := fs.Glob(k8saudit.Files, "*/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		t.Run(file, func(t *testing.T) {
			b, err := k8saudit.Files.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(b), "# SPDX-License-Identifier: Apache-2.0\n") {
				t.Error("it does not say its licence")
			}
			for doc := range strings.SplitSeq(string(b), "\n---\n") {
				var o struct {
					APIVersion string `json:"apiVersion"`
					Kind       string `json:"kind"`
					Metadata   struct {
						Name string `json:"name"`
					} `json:"metadata"`
				}
				if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
					t.Fatal(err)
				}
				if o.APIVersion == "" || o.Kind == "" {
					t.Errorf("apiVersion %q, kind %q", o.APIVersion, o.Kind)
				}
				if !strings.HasSuffix(o.Metadata.Name, "${NAME}") {
					t.Errorf("the name %q does not end in ${NAME}", o.Metadata.Name)
				}
			}
			if name := "k8saudit." + k8saudit.ActionName(file); strings.HasPrefix(file, "yaml/") && events.All()[name] == nil {
				t.Errorf("no action %s", name)
			}
		})
	}
}

func TestActionName(t *testing.T) {
	for file, want := range map[string]string{
		"create-privileged-pod.yaml":    "CreatePrivilegedPod",
		"yaml/k8s-role-created.yaml":    "K8sRoleCreated",
		"create--host-ipc-pod-.yaml":    "CreateHostIpcPod",
		"port-forward.yaml":             "PortForward",
		"attach-to-cluster-admin.yaml":  "AttachToClusterAdmin",
		"yaml/all-k8s-audit-events.txt": "AllK8sAuditEvents.txt",
	} {
		if got := k8saudit.ActionName(file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}

var (
	dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	label    = regexp.MustCompile(`^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$`)
)

func TestObjectName(t *testing.T) {
	names := make(map[string]string)
	for _, id := range []string{
		"a", "0f3a-12", "ABC", "with space", "with_space", "ünï", "-", "", strings.Repeat("x", 53), strings.Repeat("x", 54),
		strings.Repeat("y", 300), strings.Repeat("y", 301), strings.Repeat("-", 300),
	} {
		name := k8saudit.ObjectName(id)
		if !dnsLabel.MatchString(name) {
			t.Errorf("%q gives %q, which is no DNS label", id, name)
		}
		if other, ok := names[name]; ok {
			t.Errorf("%q and %q give the same name %q", id, other, name)
		}
		names[name] = id
		if v := k8saudit.LabelValue(id); len(v) > 63 || !label.MatchString(v) {
			t.Errorf("%q gives %q, which is no label's value", id, v)
		}
	}
	if got := k8saudit.ObjectName("0f3a-12"); got != "falcotest-0f3a-12" {
		t.Errorf("name %q", got)
	}
}

// kubeconfigOf writes a kubeconfig for a server.
func kubeconfigOf(t *testing.T, server string) string {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{"apiVersion":"v1","kind":"Config","current-context":"c",
		"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
		"clusters":[{"name":"c","cluster":{"server":"` + server + `"}}],
		"users":[{"name":"u","user":{"token":"t"}}]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Without a cluster, actions are skipped and say what would change that.
func TestNoCluster(t *testing.T) {
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range names() {
		err := newHelper(file).run(t, name, "none")
		if skipped := (*events.ErrSkipped)(nil); !errors.As(err, &skipped) || !strings.Contains(skipped.Reason, "KUBECONFIG") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A cluster that cannot be reached is a failure that says so.
func TestUnreachableCluster(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	quiet(t)
	for _, name := range names() {
		err := newHelper(kubeconfigOf(t, "http://"+address)).run(t, name, "none")
		if err == nil || errors.As(err, new(*events.ErrSkipped)) || !strings.Contains(err.Error(), address) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// quiet keeps client-go from printing errors that a test provokes.
func quiet(t *testing.T) {
	set := func(toStderr, threshold string) {
		flags := flag.NewFlagSet("klog", flag.ContinueOnError)
		klog.InitFlags(flags)
		for name, value := range map[string]string{"logtostderr": toStderr, "stderrthreshold": threshold} {
			if err := flags.Set(name, value); err != nil {
				t.Fatal(err)
			}
		}
	}
	klog.SetOutput(io.Discard)
	set("false", "FATAL")
	t.Cleanup(func() { set("true", "ERROR") })
}
