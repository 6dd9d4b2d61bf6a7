package tunnel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxStatus bounds an error of the API server, in bytes.
const maxStatus = 64 << 10

// A keeper keeps the error of the API server for one request. The client of SPDY keeps its text alone.
type keeper struct {
	http.RoundTripper

	status error
}

// RoundTrip sends the request, and keeps the error if the answer is one.
func (k *keeper) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := k.RoundTripper.RoundTrip(r)
	if err != nil || response.StatusCode < http.StatusBadRequest {
		return response, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxStatus))
	if err != nil {
		return nil, fmt.Errorf("read the error of the API server: %w", err)
	}
	if err := response.Body.Close(); err != nil {
		return nil, fmt.Errorf("read the error of the API server: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		k.status = apierrors.FromObject(&status)
	}
	return response, nil
}
