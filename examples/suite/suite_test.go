// SPDX-License-Identifier: Apache-2.0

// Package suite_test judges rules in a suite of testify, with assertions of its
// own on the alerts.
package suite_test

import (
	"testing"

	testify "github.com/stretchr/testify/suite"

	_ "github.com/falcotest/go-falcotest/events/syscall"
	"github.com/falcotest/go-falcotest/falcotest"
	"github.com/falcotest/go-falcotest/falcotest/suite"
)

func TestMain(m *testing.M) { falcotest.Main(m) }

type ruleSuite struct {
	suite.Suite
}

func TestSuite(t *testing.T) {
	s := new(ruleSuite)
	s.Options = []falcotest.Option{falcotest.WithRules("rules/rules.yaml")}
	testify.Run(t, s)
}

// TestDetected asks for no more than that the rule fires.
func (s *ruleSuite) TestDetected() {
	s.Detects("syscall.RemoveBulkDataFromDisk")
}

// TestFields looks into the alert.
func (s *ruleSuite) TestFields() {
	alerts := s.Trigger("syscall.RemoveBulkDataFromDisk")
	s.Require().Len(alerts, 1)
	s.Equal("Remove Bulk Data from Disk", alerts[0].Rule)
	s.Contains(alerts[0].Tags, "mitre_impact")
	name, ok := alerts[0].Field("proc.name")
	s.True(ok, "the alert prints proc.name")
	s.Equal("shred", name)
}
