package releases

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The flag and the variable of the admin address, and the port of its default.
const (
	adminFlag     = "--admin-address"
	adminVariable = "SCALER_ADMIN_ADDRESS"
	defaultPort   = 9091
)

// adminPort returns the port of the admin address of a pod, or why there is none. A flag is stronger than a
// variable, as for the scaler.
func adminPort(pod *unstructured.Unstructured) (port int, unserved string) {
	address, found := adminAddress(pod)
	switch {
	case !found:
		return defaultPort, ""
	case address == "":
		return 0, adminFlag + " is empty in the arguments"
	}
	_, text, err := net.SplitHostPort(address)
	port, notNumber := strconv.Atoi(text)
	if err != nil || notNumber != nil || port < 1 || port > 65535 {
		return 0, fmt.Sprintf("%s=%s has no port, want one such as 127.0.0.1:9091, in the arguments", adminFlag, backlog.Line(address))
	}
	return port, ""
}

// adminAddress returns the admin address that a pod names.
func adminAddress(pod *unstructured.Unstructured) (address string, found bool) {
	containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
	for _, c := range containers {
		container, ok := c.(map[string]any)
		if !ok {
			continue
		}
		variables, _, _ := unstructured.NestedSlice(container, "env")
		for _, v := range variables {
			if variable, ok := v.(map[string]any); ok && variable["name"] == adminVariable {
				if value, ok := variable["value"].(string); ok && !found {
					address, found = value, true
				}
			}
		}
		arguments, _, _ := unstructured.NestedStringSlice(container, "args")
		for i, argument := range arguments {
			if value, ok := strings.CutPrefix(argument, adminFlag+"="); ok {
				address, found = value, true
			} else if argument == adminFlag && i+1 < len(arguments) {
				address, found = arguments[i+1], true
			}
		}
	}
	return address, found
}
