package kedaclient_test

import (
	"testing"

	"github.com/kedacore/keda/v2/pkg/scalers"
)

func TestX(t *testing.T) { _ = scalers.NewExternalPushScaler }
