// SPDX-License-Identifier: Apache-2.0

// Package suite is for those whose tests are suites of testify: a [Suite] has a session
// of package falcotest, which alone it imports.
package suite

import (
	"github.com/stretchr/testify/suite"

	"github.com/falcotest/go-falcotest/falcotest"
)

// Suite is a suite.Suite with a session, which is started before the suite's first
// test and ended after its last. Embed it, and set Options before suite.Run.
//
// Suites cannot run their tests in parallel; [falcotest.Run] runs actions at the same
// time and is faster.
type Suite struct {
	suite.Suite

	// Options are those of [falcotest.Start].
	Options []falcotest.Option

	session *falcotest.Session
}

// SetupSuite starts the session.
func (s *Suite) SetupSuite() {
	s.session = falcotest.Start(s.T(), s.Options...)
}

// Session returns the suite's session.
func (s *Suite) Session() *falcotest.Session { return s.session }

// Trigger runs an action and returns its alerts; see [falcotest.Session.Trigger].
func (s *Suite) Trigger(action string) []*falcotest.Alert {
	s.T().Helper()
	return s.session.Trigger(s.T(), action)
}

// Detects runs an action and fails the test unless its rule fires; see
// [falcotest.Session.Detects].
func (s *Suite) Detects(action string) *falcotest.Result {
	s.T().Helper()
	return s.session.Detects(s.T(), action)
}
