package sqs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/backlog-scaler/backlog-scaler/internal/backlog"
)

// The variables with which a platform gives a pod its credentials:
// https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html. The library's own search
// also starts programs that files name, which the scaler does not.
const (
	envKeyID          = "AWS_ACCESS_KEY_ID"
	envKey            = "AWS_SECRET_ACCESS_KEY"
	envToken          = "AWS_SESSION_TOKEN" //nolint:gosec // the name of a variable
	envRole           = "AWS_ROLE_ARN"
	envTokenFile      = "AWS_WEB_IDENTITY_TOKEN_FILE"            //nolint:gosec // the name of a variable
	envContainer      = "AWS_CONTAINER_CREDENTIALS_FULL_URI"     //nolint:gosec // the name of a variable
	envContainerToken = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" //nolint:gosec // the name of a variable
	envWithoutNode    = "AWS_EC2_METADATA_DISABLED"
)

// sessionName names the sessions of an assumed role.
const sessionName = "backlog-scaler"

// credentialsFor returns the credentials of a connection: those of its settings, or those that the platform
// gives, and with a role those of that role.
func credentialsFor(s backlog.Settings, base aws.Config, stsEndpoint string) (aws.CredentialsProvider, error) {
	found, err := own(s, base, stsEndpoint)
	if err != nil {
		return nil, err
	}
	role := s.Text(settingRole)
	if role == "" {
		return aws.NewCredentialsCache(found), nil
	}
	base.Credentials = aws.NewCredentialsCache(found)
	return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(newSTS(base, stsEndpoint), role, func(o *stscreds.AssumeRoleOptions) {
		o.RoleSessionName = sessionName
		o.ExternalID = override(s.Text(settingExternalID))
	})), nil
}

// own returns the credentials before a role is assumed.
func own(s backlog.Settings, base aws.Config, stsEndpoint string) (aws.CredentialsProvider, error) {
	switch {
	case s.Text(settingKeyID) != "":
		return credentials.NewStaticCredentialsProvider(s.Text(settingKeyID), s.Secret(settingKey).Reveal(), s.Secret(settingToken).Reveal()), nil
	case os.Getenv(envKeyID) != "" && os.Getenv(envKey) != "":
		return credentials.NewStaticCredentialsProvider(os.Getenv(envKeyID), os.Getenv(envKey), os.Getenv(envToken)), nil
	case os.Getenv(envRole) != "" && os.Getenv(envTokenFile) != "":
		token := stscreds.IdentityTokenFile(os.Getenv(envTokenFile))
		return stscreds.NewWebIdentityRoleProvider(newSTS(base, stsEndpoint), os.Getenv(envRole), token, func(o *stscreds.WebIdentityRoleOptions) {
			o.RoleSessionName = sessionName
		}), nil
	case os.Getenv(envContainer) != "":
		return ofContainer(base, os.Getenv(envContainer))
	case strings.EqualFold(os.Getenv(envWithoutNode), "true"):
		return none{}, nil
	default:
		return ec2rolecreds.New(func(o *ec2rolecreds.Options) {
			o.Client = imds.New(imds.Options{HTTPClient: base.HTTPClient, Retryer: aws.NopRetryer{}})
		}), nil
	}
}

func newSTS(base aws.Config, endpoint string) *sts.Client {
	return sts.NewFromConfig(base, func(o *sts.Options) { o.BaseEndpoint = override(endpoint) })
}

// ofContainer returns the credentials that an agent on the node gives out, as that of EKS Pod Identity. The token
// for it goes there alone.
func ofContainer(base aws.Config, uri string) (aws.CredentialsProvider, error) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && !isOfNode(u.Hostname()) {
		return nil, fmt.Errorf("%s: want the URL of an agent on the node, or one that begins with https://", envContainer)
	}
	return endpointcreds.New(uri, func(o *endpointcreds.Options) {
		o.HTTPClient, o.Retryer = base.HTTPClient, aws.NopRetryer{}
		if file := os.Getenv(envContainerToken); file != "" {
			o.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(func() (string, error) {
				token, err := os.ReadFile(file) //nolint:gosec // the platform names it
				if err != nil {
					return "", fmt.Errorf("read %s: %w", envContainerToken, err)
				}
				return strings.TrimSpace(string(token)), nil
			})
		}
	}), nil
}

// isOfNode reports whether a host is the node itself, or one of the addresses of the agents of ECS and EKS.
func isOfNode(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && (address.IsLoopback() || address.IsLinkLocalUnicast() || host == "fd00:ec2::23")
}

// errNoCredentials is a platform that gives none.
var errNoCredentials = errors.New("there are no credentials")

// none has no credentials.
type none struct{}

// Retrieve implements aws.CredentialsProvider.
func (none) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{}, errNoCredentials
}
