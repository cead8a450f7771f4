// SPDX-License-Identifier: Apache-2.0

package falcotest

import (
	"errors"
	"os"

	"github.com/falcotest/go-falcotest/internal/config"
	"github.com/falcotest/go-falcotest/internal/image/fingerprint"
	"github.com/falcotest/go-falcotest/internal/plan"
)

// errTold ends a session that was asked for its files alone.
var errTold = errors.New("not run: it was asked which files it reads")

// tell answers the process that asks which files the tests of this binary read, to
// make an image of them, if there is one.
func tell(test string, p *plan.Plan) error {
	to := os.Getenv(config.EnvTell)
	if to == "" {
		return nil
	}
	if err := fingerprint.Tell(to, fingerprint.Session{Test: test, Files: p.Reads()}); err != nil {
		return err
	}
	return errTold
}
