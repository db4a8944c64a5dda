# Sourced: the site's certificates and package index, which pip knows and uv does not ask pip for. Needs .venv.
# shellcheck shell=bash
if [[ -z ${PIP_CERT:-} ]] && ! .venv/bin/python -m pip config get global.cert >/dev/null 2>&1; then
  for bundle in "${SSL_CERT_FILE:-}" /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt; do
    if [[ -s $bundle ]]; then export PIP_CERT=$bundle; break; fi
  done
fi
if [[ -n ${PIP_CERT:-} || $(uname -s) == Darwin ]]; then export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}; fi
index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
if [[ -n $index && -z ${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-} ]]; then export UV_DEFAULT_INDEX=$index; fi
