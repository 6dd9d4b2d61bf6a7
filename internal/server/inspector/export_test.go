package inspector

import "time"

// SetSilence sets how long a watch waits for a message.
func (c *Client) SetSilence(d time.Duration) { c.silence = d }
