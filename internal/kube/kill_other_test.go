// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package kube_test

func startAndHang() {}
