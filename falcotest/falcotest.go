// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"fmt"
	"os"
	"testing"

	"github.com/falcotest/go-falcotest/internal/child"
	"github.com/falcotest/go-falcotest/internal/gotest"
	"github.com/falcotest/go-falcotest/internal/nodes/inpod"
	"github.com/falcotest/go-falcotest/internal/session"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/terminal"
)

// TestingM is what [Main] needs of *testing.M.
type TestingM interface {
	Run() int
}

// Main is to be called by TestMain. In a process that was started to run an
// action it runs that action; otherwise it runs the tests. It does not return.
// When SIGINT or SIGTERM ends the tests, the actions are stopped and all is
// cleaned up first, as it is shortly before go test's -timeout.
//
//	func TestMain(m *testing.M) { falcotest.Main(m) }
func Main(m TestingM) {
	child.Main()
	ending := session.CleanUpOnSignal()
	gotest.DefineUpdate()
	code := m.Run()
	if err := source.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	ending()
	os.Exit(code)
}

// Run runs the selected actions as subtests of t, named like the actions, and
// fails those whose rule did not fire: see [Outcome]. Without rules that load,
// without a judge, or when no action is selected, it fails t and runs nothing.
// At the end it logs a table of all results.
//
// Actions run at the same time, in processes of their own; subtests report in
// the order of their names, each as soon as its result is there. What go test
// -run does not select does not run.
//
// With an action run its near misses ([events.NearMiss]), which do the same but for
// one thing, and fail if the rule fires for them. A rule that is to fire all the
// same says so by [WithExpectation].
//
// With [WithNodes] all that happens on the nodes of a cluster, each of which is a subtest
// with the actions below it.
//
// The tests of files run, too: those that [WithTestFiles] names, by default those
// named *_falcotest.yaml beside the rules under test; see [RunFiles].
func Run(t *testing.T, opts ...Option) {
	t.Helper()
	cfg, err := newSettings(opts)
	if err != nil {
		t.Fatal(err)
	}
	call := inpod.Call(t)
	switch pod, err := inpod.Asked(); {
	case err != nil:
		t.Fatal(err)
	case pod != nil:
		if pod.Mine(t, call) {
			runInPod(t, pod, cfg)
		}
		return
	case cfg.Nodes.Selector != "":
		runOnNodes(t, cfg, call)
		return
	}
	s := Start(t, opts...)
	s.run.Gate.Log(t)
	progress := terminal.Open(s.run.Settings.Terminal)
	pending := s.s.Run(s.run.Selected(), s.run.Wanted(t), progress)
	s.run.Report(t, s.s, pending, progress)
}

// RunFiles runs the tests of files, in the language of event-generator's suite
// and its additions (see TESTFILES.md), as subtests of t, and fails those whose
// rule did not do what they expect. The globs are relative to the test's folder;
// without any, it runs the files *_falcotest.yaml beside the rules under test.
//
// The subtests are named rule/test/case: "Clear Log Activities/clear_open/
// target=.var.log.syslog", where a dot stands for a slash. What go test -run does
// not select does not run. Every error of every file is told, with its place,
// before anything runs.
//
// Rules and judge are as in [Run], which takes the same files by
// [WithTestFiles], with the options that it takes.
func RunFiles(t *testing.T, globs ...string) {
	t.Helper()
	Run(t, WithTestFiles(globs...), func(c *settings) { c.onlyFiles = true })
}
