// SPDX-License-Identifier: Apache-2.0

package k8saudit

import (
	"slices"

	"github.com/falcotest/go-falcotest/events"
	"github.com/falcotest/go-falcotest/internal/kube/objects"
)

var _ = events.Register(FullK8sAdministrativeAccess, events.WithNeeds(events.Cluster), events.WithDisabled())

// administrators are names that installers of clusters give to the
// administrator.
var administrators = []string{"kubernetes-admin", "kubernetes-admin@kubernetes", "admin", "minikube-user"}

// FullK8sAdministrativeAccess makes a request under a name that installers
// give to the administrator: as the present user if it has such a name, else
// as a user of such a name that the cluster signs a certificate for, which
// expires after ten minutes and is in no group.
func FullK8sAdministrativeAccess(h events.Helper) error {
	r := objects.New(h, "FullK8sAdministrativeAccess")
	config, err := r.Config()
	if err != nil {
		return err
	}
	name, err := r.WhoAmI(config)
	if err != nil {
		return err
	}
	if !slices.Contains(administrators, name) {
		if config, err = r.NewUser(administrators[0]); err != nil {
			return err
		}
	}
	return r.RequestAs(config)
}
