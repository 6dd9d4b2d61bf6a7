package node

import "testing"

// TestTable has a row for each thing that a server may say of its tracking table.
func TestTable(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		table      trackingTable
		tracked    int64
		full, fits bool
	}{
		"full":                         {trackingTable{keys: 100, most: 100}, 200, true, false},
		"almost full":                  {trackingTable{keys: 91, most: 100}, 95, true, false},
		"room":                         {trackingTable{keys: 80, most: 100}, 85, false, true},
		"full of keys of others":       {trackingTable{keys: 1000, most: 1000}, 10, true, true},
		"no bound":                     {trackingTable{keys: 5000, most: 0}, 9000, false, true},
		"bound unknown, all are in it": {trackingTable{keys: 200, most: -1}, 200, false, true},
		"bound unknown, some are not":  {trackingTable{keys: 100, most: -1}, 200, true, true},
		"bound unknown, in a cluster":  {trackingTable{keys: 100, most: -1}, 0, true, true},
		"nothing known":                {trackingTable{keys: -1, most: -1}, 200, true, true},
		"only the bound known":         {trackingTable{keys: -1, most: 100}, 200, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if full, fits := row.table.isFull(row.tracked), row.table.fits(row.tracked); full != row.full || fits != row.fits {
				t.Errorf("full %t and fits %t, want %t and %t", full, fits, row.full, row.fits)
			}
		})
	}
}
