// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

var (
	namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	requests   = schema.GroupVersionResource{Group: "certificates.k8s.io", Version: "v1", Resource: "certificatesigningrequests"}
)

// controllers do what two of kube-controller-manager's controllers do: they
// empty and end namespaces that are deleted, and sign approved requests for
// client certificates.
type controllers struct {
	client    dynamic.Interface
	discovery discovery.DiscoveryInterface
	ca        *authority
	cancel    context.CancelFunc
	wait      sync.WaitGroup
}

func startControllers(ctx context.Context, config *rest.Config, ca *authority) (*controllers, error) {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	c := &controllers{client: client, discovery: d, ca: ca}
	ctx, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.wait.Go(func() { c.watch(ctx, namespaces, c.endNamespace) })
	c.wait.Go(func() { c.watch(ctx, requests, c.signRequest) })
	return c, nil
}

func (c *controllers) stop() {
	c.cancel()
	c.wait.Wait()
}

// watch calls f for each object of a kind, and again whenever it changes.
func (c *controllers) watch(ctx context.Context, kind schema.GroupVersionResource, f func(context.Context, *unstructured.Unstructured) error) {
	for ctx.Err() == nil {
		w, err := c.client.Resource(kind).Watch(ctx, metav1.ListOptions{})
		if err == nil {
			err = c.each(ctx, w, f)
		}
		if err != nil { // watching anew starts with all objects that there are
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}
}

func (c *controllers) each(ctx context.Context, w watch.Interface, f func(context.Context, *unstructured.Unstructured) error) error {
	defer w.Stop()
	for e := range w.ResultChan() {
		o, ok := e.Object.(*unstructured.Unstructured)
		if !ok || e.Type == watch.Error {
			return errors.New("the watch ended")
		}
		if e.Type == watch.Deleted {
			continue
		}
		if err := f(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// endNamespace deletes all that is in a namespace that is being deleted, and
// then lets it go.
func (c *controllers) endNamespace(ctx context.Context, ns *unstructured.Unstructured) error {
	if ns.GetDeletionTimestamp() == nil {
		return nil
	}
	kinds, err := c.discovery.ServerPreferredNamespacedResources()
	if err != nil {
		return err
	}
	// There is no kubelet that would end pods in time, so all end at once.
	now := metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	for _, list := range discovery.FilteredBy(discovery.SupportsAllVerbs{Verbs: []string{"deletecollection"}}, kinds) {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return err
		}
		for _, r := range list.APIResources {
			err := c.client.Resource(gv.WithResource(r.Name)).Namespace(ns.GetName()).DeleteCollection(ctx, now, metav1.ListOptions{})
			if err != nil {
				return fmt.Errorf("deleting the %s of namespace %s: %w", r.Name, ns.GetName(), err)
			}
		}
	}
	unstructured.RemoveNestedField(ns.Object, "spec", "finalizers")
	_, err = c.client.Resource(namespaces).Update(ctx, ns, metav1.UpdateOptions{}, "finalize")
	return err
}

// signRequest signs a request for a client certificate that is approved.
func (c *controllers) signRequest(ctx context.Context, csr *unstructured.Unstructured) error {
	signer, _, _ := unstructured.NestedString(csr.Object, "spec", "signerName")
	_, signed, _ := unstructured.NestedString(csr.Object, "status", "certificate")
	if signer != "kubernetes.io/kube-apiserver-client" || signed || !approved(csr) {
		return nil
	}
	cert, err := c.certificate(csr)
	if err != nil {
		return nil // a bad request stays unsigned
	}
	if err := unstructured.SetNestedField(csr.Object, cert, "status", "certificate"); err != nil {
		return err
	}
	_, err = c.client.Resource(requests).UpdateStatus(ctx, csr, metav1.UpdateOptions{})
	return err
}

func approved(csr *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(csr.Object, "status", "conditions")
	for _, condition := range conditions {
		if m, ok := condition.(map[string]any); ok && m["type"] == "Approved" {
			return true
		}
	}
	return false
}

// certificate makes the certificate that is asked for, in base64.
func (c *controllers) certificate(csr *unstructured.Unstructured) (string, error) {
	encoded, _, _ := unstructured.NestedString(csr.Object, "spec", "request")
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return "", errors.New("no PEM block")
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return "", err
	}
	if err := request.CheckSignature(); err != nil {
		return "", err
	}
	valid := validity
	if seconds, ok, _ := unstructured.NestedInt64(csr.Object, "spec", "expirationSeconds"); ok {
		valid = min(valid, time.Duration(seconds)*time.Second)
	}
	cert, err := c.ca.sign(&x509.Certificate{
		Subject:     request.Subject,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, request.PublicKey, valid)
	return base64.StdEncoding.EncodeToString(cert), err
}
