// SPDX-License-Identifier: Apache-2.0

// Package audit takes the audit events of a Kubernetes API server and makes
// them readable for rules of the source k8s_audit.
//
// Events enter through [Handler], an HTTP endpoint for kube-apiserver's audit
// webhook and for whatever posts to Falco's k8saudit plugin, or through
// [Decode], from a file. They leave as [Event] values, whose fields [Source]
// resolves for the rules engine: all that Falco's plugins k8saudit 0.18.0 and
// json 0.7.4 define, with their values, lists and quirks, and the generic evt
// fields.
//
// It imports internal/filter for the contract of fields, and nothing else of
// this module.
package audit
