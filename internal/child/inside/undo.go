// SPDX-License-Identifier: Apache-2.0

package inside

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/falcotest/go-falcotest/internal/child/protocol"
	"github.com/falcotest/go-falcotest/internal/hermetic"
	"github.com/falcotest/go-falcotest/internal/journal"
)

// Undo has op written to the journal, and undoes it among the cleanups. What
// vanishes with the process is not written down: the path would mean another
// file outside.
func (p *Process) Undo(op journal.Op) error {
	if vanishes(op) {
		p.Cleanup(func() { p.undo(op) }, op)
		return nil
	}
	op.ID = p.newID()
	if err := p.journal(op); err != nil {
		return err
	}
	p.Cleanup(func() {
		if p.undo(op) == nil {
			p.conn.Send(protocol.Message{Type: protocol.TypeDone, ID: op.ID})
		}
	}, op)
	return nil
}

func (p *Process) undo(op journal.Op) error {
	err := op.Undo()
	if err != nil {
		p.log.Error(err)
	}
	return err
}

func vanishes(op journal.Op) bool {
	switch op.Kind {
	case journal.Unmount: // in the process's own namespace
		return hermetic.Active()
	case journal.Remove, journal.RemoveTree, journal.Restore:
		return hermetic.Vanishes(op.Path) || below(op.Path, os.Getenv("TMPDIR"))
	}
	return false
}

// below tells whether path is below dir, both absolute and clean.
func below(path, dir string) bool {
	return dir != "" && len(path) > len(dir) && path[:len(dir)] == dir && path[len(dir)] == filepath.Separator
}

func (p *Process) newID() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ops++
	return fmt.Sprintf("%d.%d.%d", os.Getpid(), p.started.UnixNano(), p.ops)
}
