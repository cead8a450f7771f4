// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/falcotest/go-falcotest/internal/rules"
)

// FalcoVersion is the version of Falco that the engine agrees with.
const FalcoVersion = "0.43.1"

// Name is how messages call the engine.
func Name() string {
	return fmt.Sprintf("the built-in engine, as Falco %s (engine %s)", FalcoVersion, rules.EngineVersion)
}
