// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/json"
	"os"
)

// AdminUser is the user of the cluster's kubeconfig. It may do everything, and
// has the name that kubeadm gives its administrator.
const AdminUser = "kubernetes-admin"

// administrators is the group of users who may do everything.
const administrators = "system:masters"

// controllerUser is who does what controllers would do. It is not audited.
const controllerUser = "system:falcotest:controllers"

// object is part of a configuration file. The files are written as JSON, which
// is YAML as well.
type object = map[string]any

func writeJSON(file string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o600)
}

// auditPolicy logs all that rules can look at, and leaves out what the API
// server and this package do themselves, and what clients ask only to find
// their way.
func auditPolicy() object {
	none := func(more object) object {
		more["level"] = "None"
		return more
	}
	return object{
		"apiVersion": "audit.k8s.io/v1",
		"kind":       "Policy",
		"omitStages": []string{"RequestReceived"},
		"rules": []object{
			none(object{"users": []string{"system:apiserver", controllerUser, managerUser, schedulerUser}}),
			none(object{"userGroups": []string{"system:nodes"}}),
			none(object{"nonResourceURLs": []string{"/healthz*", "/livez*", "/readyz*"}}),
			none(object{
				"userGroups":      []string{"system:authenticated"},
				"nonResourceURLs": []string{"/api", "/api/*", "/apis", "/apis/*", "/openapi/*", "/version"},
			}),
			none(object{"resources": []object{
				{"group": "", "resources": []string{"events"}},
				{"group": "events.k8s.io"},
				{"group": "coordination.k8s.io"},
				{"group": "authentication.k8s.io"},
				{"group": "authorization.k8s.io"},
			}}),
			// As everywhere, what is in secrets stays out of the events.
			{"level": "Metadata", "resources": []object{
				{"group": "", "resources": []string{"secrets", "serviceaccounts/token"}},
			}},
			{"level": "RequestResponse"},
		},
	}
}

// kubeconfig is a kubeconfig for one server and one user. The certificate
// fields are left out where empty.
func kubeconfig(server string, ca []byte, user string, credentials object) object {
	cluster := object{"server": server}
	if len(ca) > 0 {
		cluster["certificate-authority-data"] = ca // []byte is base64 in JSON
	}
	return object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"clusters":        []object{{"name": "falcotest", "cluster": cluster}},
		"users":           []object{{"name": user, "user": credentials}},
		"contexts":        []object{{"name": "falcotest", "context": object{"cluster": "falcotest", "user": user, "namespace": "default"}}},
		"current-context": "falcotest",
		"preferences":     object{},
	}
}
