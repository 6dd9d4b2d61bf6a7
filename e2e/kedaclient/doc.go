// Package kedaclient tests the scaler with KEDA's own client code, linked into the test.
package kedaclient
