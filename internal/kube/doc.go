// SPDX-License-Identifier: Apache-2.0

// Package kube starts a Kubernetes API server for tests: a real etcd and a
// real kube-apiserver on loopback, with RBAC, that send their audit events to
// a function of the caller's, or to a given Falco's k8saudit plugin.
//
// It may import internal/source/k8saudit/audit, which receives the events, internal/journal for
// its directory and internal/kube/programs and
// internal/kube/process, which build and run the programs. Events leave through
// [Options].Handle; clients reach the cluster through [Cluster.Kubeconfig].
//
// There are no other parts of Kubernetes: nothing is scheduled, no container
// runs, no image is pulled. What tests need of the controllers is done by this
// package: namespaces end when they are deleted, and approved requests for
// client certificates are signed. With [Options].Nodes there are the real scheduler
// and controller manager, and package nodes gives the cluster nodes.
package kube
