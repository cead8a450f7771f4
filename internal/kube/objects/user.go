// SPDX-License-Identifier: Apache-2.0

package objects

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

// WhoAmI returns the name that the cluster knows the user by.
func (r *Run) WhoAmI(config *rest.Config) (string, error) {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return "", fmt.Errorf("reaching the cluster: %w", err)
	}
	answer, err := client.RESTClient().Post().AbsPath("/apis/authentication.k8s.io/v1/selfsubjectreviews").
		SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").
		Body([]byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)).DoRaw(context.Background())
	if err != nil {
		return "", fmt.Errorf("asking the cluster who this user is: %w", ClusterError(err))
	}
	var review unstructured.Unstructured
	if err := review.UnmarshalJSON(answer); err != nil {
		return "", fmt.Errorf("asking the cluster who this user is: %w", err)
	}
	name, _, err := unstructured.NestedString(review.Object, "status", "userInfo", "username")
	return name, err
}

// NewUser makes a user, in groups, that has no rights but those that everyone has: it asks
// the cluster for a certificate, approves it, and waits for the signature.
func (r *Run) NewUser(user string, groups ...string) (*rest.Config, error) {
	config, err := r.Config()
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: user, Organization: groups}}, key)
	if err != nil {
		return nil, err
	}
	encoded := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: request}))
	infos, err := r.Create(`apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata:
  name: `+r.Name+`
spec:
  signerName: kubernetes.io/kube-apiserver-client
  expirationSeconds: 600
  usages: ["client auth"]
  request: `+encoded+"\n", "the certificate request of user "+user)
	if err != nil {
		return nil, err
	}
	cert, err := r.approve(infos[0])
	if err != nil {
		return nil, fmt.Errorf("getting a certificate for user %s: %w", user, err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	as := rest.AnonymousClientConfig(config)
	as.UserAgent = r.UserAgent()
	as.CertData = cert
	as.KeyData = pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	return as, nil
}

// approve approves a request for a certificate and waits for it, in PEM.
func (r *Run) approve(info *resource.Info) ([]byte, error) {
	csr, ok := info.Object.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("%s is a %T", Describe(info), info.Object)
	}
	csr = csr.DeepCopy()
	err := unstructured.SetNestedSlice(csr.Object, []any{map[string]any{
		"type": "Approved", "status": "True", "reason": "falcotest", "message": "for a test of Falco's rules",
	}}, "status", "conditions")
	if err != nil {
		return nil, err
	}
	body, err := csr.MarshalJSON()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
	defer cancel()
	err = info.Client.Put().Resource("certificatesigningrequests").Name(info.Name).SubResource("approval").
		Body(body).Do(ctx).Error()
	if err != nil {
		return nil, fmt.Errorf("approving the request: %w", err)
	}
	w, err := resource.NewHelper(info.Client, info.Mapping).WatchSingle("", info.Name, info.ResourceVersion)
	if err != nil {
		return nil, fmt.Errorf("waiting for the signature: %w", err)
	}
	defer w.Stop()
	for {
		select {
		case e, ok := <-w.ResultChan():
			if !ok {
				return nil, errors.New("waiting for the signature: the watch ended first")
			}
			csr, ok := e.Object.(*unstructured.Unstructured)
			if !ok {
				return nil, fmt.Errorf("waiting for the signature: the server says %v", e.Object)
			}
			if cert, _, _ := unstructured.NestedString(csr.Object, "status", "certificate"); cert != "" {
				return base64.StdEncoding.DecodeString(cert)
			}
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the signature: none after %v: does a controller of this cluster sign for kubernetes.io/kube-apiserver-client?", requestTimeout)
		}
	}
}

// RequestAs asks for a configmap that does not exist.
func (r *Run) RequestAs(config *rest.Config) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("reaching the cluster: %w", err)
	}
	err = client.RESTClient().Get().AbsPath("/api/v1/namespaces/default/configmaps", r.Name).Do(context.Background()).Error()
	if err := Answered(err); err != nil {
		return fmt.Errorf("getting configmap %s: %w", r.Name, err)
	}
	return nil
}
