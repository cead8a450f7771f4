// SPDX-License-Identifier: Apache-2.0

// Package k8saudit has an action for each rule on Kubernetes audit events.
// Import it for its side effect: the actions register themselves, all of them
// disabled by default.
//
// What a rule needs to be created is in yaml/*.yaml: the file
// create-privileged-pod.yaml is the action k8saudit.CreatePrivilegedPod. It
// creates all objects of the file with the helper's ResourceBuilder, in the
// namespace that the builder was set up with unless the file names one, and
// deletes them at the end. Actions that do something else, such as to delete,
// to get or to exec, are functions.
//
// Whatever is created has a name that ends in the value of FALCOTEST_ID, so
// that two runs do not meet and alerts can be told apart, and these labels:
//
//	app.kubernetes.io/part-of  falcotest
//	falcotest.io/rule          the action's name without its package
//	falcotest.io/id            the value of FALCOTEST_ID
//
// Requests carry the id in their User-Agent header too. With FALCOTEST_KEEP=1
// nothing is deleted. What that left in a cluster, or a run that was killed, goes
// by its label:
//
//	kubectl delete --all-namespaces -l app.kubernetes.io/part-of=falcotest \
//	  pods,deployments,services,ingresses,configmaps,secrets,serviceaccounts,roles,rolebindings
//	kubectl delete -l app.kubernetes.io/part-of=falcotest \
//	  clusterroles,clusterrolebindings,namespaces,nodes
//
// Nothing that is created runs: pods ask for a scheduler that does not exist,
// so that no image is pulled, and deployments for no replicas. To exec, to
// attach or to forward a port thus fails, which is audited all the same. A
// cluster without controllers, schedulers and nodes will do.
//
// Some of the rules never fire as they are upstream, because a macro of theirs
// has to be changed to switch them on: Create Disallowed Pod
// (allowed_k8s_containers), All K8s Audit Events (consider_all_events), Full
// K8s Administrative Access (allowed_full_admin_users) and the two on
// untrusted nodes (allow_all_k8s_nodes).
package k8saudit
