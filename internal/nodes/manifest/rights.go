// SPDX-License-Identifier: Apache-2.0

package manifest

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Driver is what the objects are called that let a run be driven.
const Driver = "falcotest-driver"

// Permission is a rule of RBAC, and why who drives a run needs it.
type Permission struct {
	rbacv1.PolicyRule
	Why string
}

func permission(why, group, resource string, verbs ...string) Permission {
	return Permission{Why: why, PolicyRule: rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: verbs}}
}

// Permissions are what who drives a run must be allowed to do: in the run's
// namespace, in the namespace default, and in the whole cluster. The pods need none.
func Permissions(o Options) (namespaced, inDefault, cluster []Permission) {
	namespaced = []Permission{
		permission("A Job for each node, and one that owns all that the run makes. They are watched, and go at the end.",
			"batch", "jobs", "create", "list", "watch", "deletecollection"),
		permission("What became of the Jobs' pods: waiting, running, evicted, gone. Those on a node that was lost are deleted,\nfor nobody else would.",
			"", "pods", "list", "watch", "delete"),
		permission("The results: each pod writes them to its log, which is followed.",
			"", "pods/log", "get"),
		permission("Why a pod does not start: no room, no image, a quota, a folder that is missing.",
			"", "events", "list", "watch"),
		permission("A run's sign of life. What a run that was killed has left is known by a Lease that is not renewed.",
			"coordination.k8s.io", "leases", "create", "get", "list", "update", "delete"),
		permission("Whom the pods run as: an account without rights, whose token is not mounted.",
			"", "serviceaccounts", "create", "delete"),
	}
	if o.Listens() {
		namespaced = append(namespaced, permission("Where the Falco of each node posts its alerts, to the pod on the same node.",
			"", "services", "create", "delete"))
	}
	cluster = []Permission{
		permission("Which nodes there are, whether they are ready, and how those differ that miss something.",
			"", "nodes", "list", "watch"),
	}
	if o.CreateNamespace {
		cluster = append(cluster, permission("The run's own namespace. It is worth avoiding: whoever may make namespaces and Jobs in them may do\nanything on the nodes. Without -create-namespace this is not needed, and what follows is for one namespace alone.",
			"", "namespaces", "create", "list", "watch", "delete"))
		for _, p := range namespaced {
			// What is in the namespace goes with it, but for pods that no kubelet ends.
			if p.Resources[0] == "pods" {
				cluster = append(cluster, p)
				continue
			}
			p.Verbs = slices.DeleteFunc(p.Verbs, func(verb string) bool { return strings.HasPrefix(verb, "delete") })
			cluster = append(cluster, p)
		}
		return nil, nil, cluster
	}
	inDefault = []Permission{
		permission("What the cluster says of a node that could not be judged: events of nodes are in the namespace default. Without\nthis right they are left out.",
			"", "events", "list"),
	}
	return namespaced, inDefault, cluster
}

func policyRules(permissions []Permission) (rules []rbacv1.PolicyRule) {
	for _, p := range permissions {
		rules = append(rules, p.PolicyRule)
	}
	return rules
}

// DriverAccount is the ServiceAccount that drives runs, for a CI job.
func DriverAccount(o Options) *corev1.ServiceAccount {
	o = o.withDefaults()
	return &corev1.ServiceAccount{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"},
		ObjectMeta: metav1.ObjectMeta{Name: Driver, Namespace: o.Namespace, Labels: standing()},
	}
}

// standing are the labels of what is there before and after runs, which no run
// sweeps up.
func standing() map[string]string { return map[string]string{LabelPartOf: PartOf} }

// Roles are what who drives runs may do in the namespace of the pods and in default;
// none where the run makes its namespace, for then there is none yet to put a Role
// into.
func Roles(o Options) (roles []*rbacv1.Role) {
	o = o.withDefaults()
	namespaced, inDefault, _ := Permissions(o)
	add := func(namespace string, permissions []Permission) {
		if permissions == nil {
			return
		}
		roles = append(roles, &rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
			ObjectMeta: metav1.ObjectMeta{Name: Driver, Namespace: namespace, Labels: standing()},
			Rules:      policyRules(permissions),
		})
	}
	add(o.Namespace, namespaced)
	add(metav1.NamespaceDefault, inDefault)
	return roles
}

// ClusterRole is what who drives runs may do beside that.
func ClusterRole(o Options) *rbacv1.ClusterRole {
	_, _, cluster := Permissions(o)
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: Driver, Labels: standing()},
		Rules:      policyRules(cluster),
	}
}

// RoleBinding gives a Role to those who drive runs.
func RoleBinding(role *rbacv1.Role, to ...rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: Driver, Namespace: role.Namespace, Labels: standing()},
		Subjects:   slices.Clone(to),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
	}
}

// ClusterRoleBinding gives the ClusterRole to those who drive runs.
func ClusterRoleBinding(to ...rbacv1.Subject) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRoleBinding"},
		ObjectMeta: metav1.ObjectMeta{Name: Driver, Labels: standing()},
		Subjects:   slices.Clone(to),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: Driver},
	}
}
