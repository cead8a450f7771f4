// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"slices"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/config"
)

// Streams are the sources whose events come to a session by themselves, and are not
// traced, by their names.
type Streams map[string]Live

// Open prepares the streams of a session.
func Open(settings *config.Settings) Streams {
	streams := Streams{}
	for _, s := range registered {
		if s.Open != nil {
			streams[s.Name] = s.Open(settings)
		}
	}
	return streams
}

// Start makes sure that the events come of the sources that are wanted.
func (s Streams) Start(ctx context.Context, wanted func(*Source) bool) error {
	for _, src := range registered {
		if live := s[src.Name]; live != nil && wanted(src) {
			if err := live.Start(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Provide tells whether a need is met by where a source's events come from.
func (s Streams) Provide(need events.Need) bool {
	return slices.ContainsFunc(registered, func(src *Source) bool { return src.Need == need.Name && s[src.Name] != nil })
}

// Describe says where the events come from, behind the name of who judges.
func (s Streams) Describe() (text string) {
	for _, src := range registered {
		if live := s[src.Name]; live != nil {
			text += live.Describe()
		}
	}
	return text
}

// Close closes all of them.
func (s Streams) Close() error {
	var errs []error
	for _, live := range s {
		errs = append(errs, live.Close())
	}
	return errors.Join(errs...)
}
