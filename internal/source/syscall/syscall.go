// SPDX-License-Identifier: Apache-2.0

// Package syscall is the source of system calls: [fields.Source], recordings in
// .scap files, and a sentinel that opens a file which does not exist.
//
// It imports internal/source, to which it hands itself, its own fields, and
// internal/capture for recordings.
package syscall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/falcotest/go-falcotest/internal/capture"
	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/filter"
	"github.com/falcotest/go-falcotest/internal/source"
	"github.com/falcotest/go-falcotest/internal/source/syscall/fields"
	"github.com/falcotest/go-falcotest/internal/testfile"
)

func init() {
	source.Register(source.Source{
		Name:    fields.SourceName,
		Events:  "system calls",
		Fields:  func() filter.Source { return fields.New() },
		Plugins: fields.Plugins,
		Local:   true,
		// Ancestors are named one by one: Falco has no field for all of them.
		Correlation: []string{
			env, ancestorsEnv,
			"proc.pid", "proc.ppid", "proc.sid", "proc.pgid",
			"proc.apid[2]", "proc.apid[3]", "proc.apid[4]",
			"proc.exepath", "proc.cmdline", "proc.pcmdline",
			"thread.tid", "evt.type", // which of the framework's doing it is
		},
		ID:           []string{env, ancestorsEnv},
		PluginFields: map[string][]string{"container": {"container.id", "container.name"}}, // whether it knows the container
		Sentinel:     source.Sentinel{Rule: "Falcotest Sentinel", YAML: sentinel, Trigger: open},
		Recording:    &source.Recording{Is: isCapture, Read: read, Lacks: unrecorded, LacksOfContainers: unrecordedOfContainers},
		Tests:        &testfile.Source{Processes: true},
	})
}

// The id of an action in the environment of a process, and of its ancestors.
const (
	env          = "proc.env[" + config.EnvID + "]"
	ancestorsEnv = "proc.aenv[" + config.EnvID + "]"
)

// unrecorded are the fields that a Falco cannot work out from a recording of an action:
// since when processes run that were there before it began, and the names of hosts,
// which it looks up where it runs and not in the action's hosts file.
var unrecorded = []string{
	"proc.duration", "proc.ppid.duration", "proc.pid.ts", "proc.ppid.ts",
	"fd.sip.name", "fd.cip.name", "fd.lip.name", "fd.rip.name",
}

// unrecordedOfContainers are the names of accounts, which it looks up in the container's
// files, even if the recording has them.
var unrecordedOfContainers = []string{"user.name", "user.loginname", "user.homedir", "user.shell", "group.name"}

// sentinel looks at the event's argument, since a failed open has no fd.name.
const sentinel = `- rule: Falcotest Sentinel
  desc: >
    A test has ended: what it did has been judged once this alert comes.
  condition: evt.type in (open, openat, openat2) and evt.arg.name startswith /` + source.SentinelName + `
  output: falcotest sentinel (path=%evt.arg.name)
  priority: DEBUG
  source: syscall
  tags: [falcotest]
`

func open(_ context.Context, nonce string) error {
	f, err := os.Open("/" + source.SentinelName + nonce)
	if err == nil {
		f.Close()
		return nil
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("making the sentinel's event: %w", err)
}

// isCapture tells a .scap file by its section header, gzipped or not.
func isCapture(head []byte) bool {
	return bytes.HasPrefix(head, []byte{0x0a, 0x0d, 0x0d, 0x0a}) || bytes.HasPrefix(head, []byte{0x1f, 0x8b})
}

func read(ctx context.Context, r io.Reader, types []string, handle func(event any)) (uint64, error) {
	player, err := capture.NewPlayer(r)
	if err != nil {
		return 0, err
	}
	if types != nil {
		player.Want(fields.Types(types))
	}
	for n := 0; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return player.Events(), ctx.Err()
		}
		e, err := player.Next()
		if errors.Is(err, io.EOF) {
			return player.Events(), nil
		}
		if err != nil {
			return player.Events(), err
		}
		handle(e)
	}
}
