// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/falcotest/go-falcotest/internal/nodes/manifest"
	"github.com/falcotest/go-falcotest/internal/source"
)

var manifestVerb = verb{
	name: "manifest", usage: "[-namespace NAME] [-profile PROFILE] [-falco URL] [-driver WHO]… [rights|run|values]…",
	doc: "print what a run on the nodes of a cluster needs and makes there: who may do what, the objects, the values of Falco's chart",
	run: manifestCommand,
}

// parts of the output, in their order.
var parts = []string{"rights", "run", "values"}

func manifestCommand(_ context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("falcotest manifest", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o manifest.Options
	var drivers []rbacv1.Subject
	flags.StringVar(&o.Namespace, "namespace", manifest.DefaultNamespace, "the `name` of the namespace where the pods run")
	flags.BoolVar(&o.CreateNamespace, "create-namespace", false, "each run makes the namespace and deletes it")
	flags.StringVar(&o.Image, "image", "IMAGE", "the `reference` of the image that go tool falcotest image made")
	flags.StringVar((*string)(&o.Profile), "profile", string(manifest.Baseline), "what the pods may do: baseline or privileged")
	flags.StringVar(&o.Falco, "falco", "builtin:", "who judges, by `URL` as it is in the pods: unix:///run/falco/falco.sock, http://0.0.0.0:2801/SECRET, builtin: or replay:")
	node := flags.String("node", "NODE", "the `name` of a node, for its Job")
	flags.Func("driver", "who drives runs: User:NAME, Group:NAME or ServiceAccount:NAMESPACE/NAME; may be given again", func(text string) error {
		s, err := subject(text)
		drivers = append(drivers, s)
		return err
	})
	flags.Usage = func() {
		fmt.Fprint(stderr, "usage: falcotest manifest [flags] [rights|run|values]…\n\n"+
			"  rights  what is there before and after runs, to be applied once: the namespace, and what who drives runs may do\n"+
			"  run     what each run makes and deletes\n"+
			"  values  the lines for the values of Falco's chart\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "falcotest manifest:", err)
		return 1
	}
	wanted := flags.Args()
	for _, part := range wanted {
		if !slices.Contains(parts, part) {
			return fail(fmt.Errorf("there is no part %q: want %s", part, strings.Join(parts, ", ")))
		}
	}
	o.Run = "run"
	if err := o.Check(); err != nil {
		return fail(err)
	}
	for _, part := range parts {
		if len(wanted) > 0 && !slices.Contains(wanted, part) {
			continue
		}
		var err error
		switch part {
		case "rights":
			err = manifest.Rights(stdout, o, drivers...)
		case "run":
			err = manifest.Run(stdout, o, *node)
		case "values":
			var b strings.Builder
			err = manifest.Values(&b, o, source.ByName("syscall").Sentinel.YAML)
			text := b.String()
			if len(wanted) != 1 { // among manifests, for kubectl to read over
				text = "---\n# " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n# ") + "\n"
			}
			io.WriteString(stdout, text)
		}
		if err != nil {
			return fail(err)
		}
	}
	return 0
}

// subject reads who drives runs.
func subject(text string) (rbacv1.Subject, error) {
	kind, name, _ := strings.Cut(text, ":")
	s := rbacv1.Subject{Kind: kind, APIGroup: rbacv1.GroupName, Name: name}
	switch kind {
	case rbacv1.UserKind, rbacv1.GroupKind:
	case rbacv1.ServiceAccountKind:
		s.APIGroup = ""
		s.Namespace, s.Name, _ = strings.Cut(name, "/")
	default:
		s.Name = ""
	}
	if s.Name == "" || cmp.Or(s.Namespace, s.APIGroup) == "" {
		return s, fmt.Errorf("want User:NAME, Group:NAME or ServiceAccount:NAMESPACE/NAME")
	}
	return s, nil
}
