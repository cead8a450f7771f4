// SPDX-License-Identifier: Apache-2.0

package session

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/falcotest/go-falcotest/internal/source"
)

// sessions are those that live, for an end that is not theirs.
var sessions sessionSet

type sessionSet struct {
	mu  sync.Mutex
	all map[*Session]bool
}

func (l *sessionSet) add(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all == nil {
		l.all = make(map[*Session]bool)
	}
	l.all[s] = true
}

func (l *sessionSet) remove(s *Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, s)
}

// end ends all of them at the same time.
func (l *sessionSet) end(why error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	errs := make(chan error, len(l.all))
	for s := range l.all {
		go func() { errs <- s.end(why) }()
	}
	var all []error
	for range l.all {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// ErrSignal is wrapped by why sessions end that a signal ends.
var ErrSignal = errors.New("the run was ended by a signal")

// cleanUpWithin bounds what is cleaned up after a signal: the grace of actions,
// and the end of containers and of a Falco.
const cleanUpWithin = 30 * time.Second

// CleanUpOnSignal has SIGINT and SIGTERM stop the actions and end what was
// started, before they end this process as they would have. A second one ends it
// at once. What it returns is to be called before this process ends by itself: it
// does not return where a signal ends it.
func CleanUpOnSignal() (ending func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var mu sync.Mutex // held from a signal on
	go func() {
		sig := <-signals
		mu.Lock()
		signal.Stop(signals) // the next one ends the process
		fmt.Fprintf(os.Stderr, "falcotest: %s: stopping the actions and cleaning up; once more ends this at once\n", sig)
		ended := make(chan error, 1)
		go func() {
			ended <- errors.Join(sessions.end(fmt.Errorf("%w: %s", ErrSignal, sig)), source.Close())
		}()
		select {
		case err := <-ended:
			if err != nil {
				fmt.Fprintln(os.Stderr, "falcotest: cleaning up:", err)
			}
		case <-time.After(cleanUpWithin):
			fmt.Fprintf(os.Stderr, "falcotest: cleaning up took longer than %s\n", cleanUpWithin)
		}
		endBySignal(sig)
	}()
	return mu.Lock
}

// endBySignal ends this process by a signal that has been caught.
func endBySignal(sig os.Signal) {
	if self, err := os.FindProcess(os.Getpid()); err == nil && self.Signal(sig) == nil {
		time.Sleep(time.Second) // it is delivered to any thread, soon
	}
	os.Exit(1)
}
