// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/falcotest/go-falcotest/internal/image"
)

var imageVerb = verb{
	name: "image", usage: "[-push REF] [-o FILE] [-platform P,…] [-run PATTERN] [-add FILE:PATH]… [PACKAGE]",
	doc: "make an image of a package's test binary and the files that its tests read, for the nodes of a cluster",
	run: imageCommand,
}

// askVerb is what go test runs in place of a test binary.
const askVerb = "image-ask"

func init() {
	hiddenVerbs[askVerb] = func(_ context.Context, args []string, _, _ io.Writer) int { return image.Ask(args) }
}

func imageCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	flags := flag.NewFlagSet("falcotest image", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := image.Options{Log: stderr}
	push := flags.String("push", "", "the `reference` to push it to, such as registry.example/rules:main")
	insecure := flags.Bool("insecure", false, "push to a registry without TLS, or whose certificate nobody signed")
	file := flags.String("o", "", "the `file` to write it to, for docker load, ctr images import, kind load image-archive")
	ref := flags.String("name", "", "the `name` of the image in that file; by default one of its content")
	platforms := flags.String("platform", strings.Join(image.Platforms, ","), "what to make it for, separated by `commas`")
	flags.StringVar(&o.Run, "run", "", "ask only the test functions that the `pattern` matches which files they read")
	flags.Func("add", "`FILE:PATH` adds a file, or a folder; a path that is not absolute begins at the package's folder; may be given again", func(text string) error {
		i := strings.LastIndex(text, ":")
		if i <= 0 || i == len(text)-1 {
			return fmt.Errorf("want FILE:PATH")
		}
		o.Add = append(o.Add, image.Addition{From: text[:i], To: text[i+1:]})
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return 2
	}
	fail := func(err error) int {
		fmt.Fprintln(stderr, "falcotest image:", err)
		return 1
	}
	switch {
	case flags.NArg() > 1:
		return fail(fmt.Errorf("an image is of one package, and these are %d: %s", flags.NArg(), strings.Join(flags.Args(), " ")))
	case *push == "" && *file == "":
		return fail(fmt.Errorf("where is it to go? Use -push or -o"))
	}
	o.Package = flags.Arg(0)
	o.Platforms = strings.Split(*platforms, ",")
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	o.Ask = []string{self, askVerb}
	if err := makeImage(ctx, o, *push, *insecure, *file, *ref, stdout); err != nil {
		return fail(err)
	}
	return 0
}

// makeImage makes an image and prints what it is to be called.
func makeImage(ctx context.Context, o image.Options, push string, insecure bool, file, ref string, stdout io.Writer) error {
	i, err := image.Build(ctx, o)
	if err != nil {
		return err
	}
	defer i.Close()
	if ref == "" {
		ref = i.Name()
	}
	if file != "" {
		if err := i.Save(file, ref); err != nil {
			return err
		}
	}
	if push != "" {
		if ref, err = i.Push(ctx, push, insecure); err != nil {
			return err
		}
	}
	fmt.Fprintln(stdout, ref)
	return nil
}
