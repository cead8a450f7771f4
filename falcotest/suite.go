// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"github.com/stretchr/testify/suite"
)

// Suite is for those whose tests are suites of testify: a suite.Suite with a
// session, which is started before the suite's first test and ended after its
// last. Embed it, and set Options before suite.Run.
//
// Suites cannot run their tests in parallel; [Run] runs actions at the same
// time and is faster.
type Suite struct {
	suite.Suite

	// Options are those of [Start].
	Options []Option

	session *Session
}

// SetupSuite starts the session.
func (s *Suite) SetupSuite() {
	s.session = Start(s.T(), s.Options...)
}

// Session returns the suite's session.
func (s *Suite) Session() *Session { return s.session }

// Trigger runs an action and returns its alerts; see [Session.Trigger].
func (s *Suite) Trigger(action string) []*Alert {
	s.T().Helper()
	return s.session.Trigger(s.T(), action)
}

// Detects runs an action and fails the test unless its rule fires.
func (s *Suite) Detects(action string) *Result {
	s.T().Helper()
	r := s.session.Do(s.T().Context(), action)
	s.session.conclude(s.T(), r)
	return r
}
