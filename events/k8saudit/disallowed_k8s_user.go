// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(DisallowedK8sUser, events.WithNeeds(events.Cluster), events.WithDisabled())

// DisallowedK8sUser makes a request as a user that nobody has heard of. The
// cluster signs a certificate for it; the user may do nothing, so that the
// request is refused, which the rule does not mind.
func DisallowedK8sUser(h events.Helper) error {
	r := objects.New(h, "DisallowedK8sUser")
	config, err := r.NewUser(r.Name)
	if err != nil {
		return err
	}
	return r.RequestAs(config)
}
