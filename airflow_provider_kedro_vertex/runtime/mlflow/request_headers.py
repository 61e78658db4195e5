"""Headers of the requests to a protected MLflow server. Imported only in a project that uses kedro-mlflow.

``vertexai.yml`` names the provider::

    run_config:
      mlflow:
        request_header_provider:
          cls: kedro_vertexai.auth.gcp.MLFlowGoogleIAMRequestHeaderProvider
          params: {client_id: 1234.apps.googleusercontent.com, service_account: mlflow@project.iam.gserviceaccount.com}

``cls`` is a class of this module, under its name here or the one it has in kedro-vertexai, or the project's own:
a subclass of :class:`RequestHeaderProviderWithKedroContext`, or any other of MLflow's ``RequestHeaderProvider``, which
gets ``params`` as keyword arguments alone. kedro-mlflow's own ``server.request_header_provider`` in ``mlflow.yml``
works too (with ``pass_context: true`` for the classes here), but not beside this one: MLflow joins what two providers
say for one header.
"""

from __future__ import annotations

from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from mlflow.tracking.request_header import registry
from mlflow.tracking.request_header.abstract_request_header_provider import RequestHeaderProvider

from airflow_provider_kedro_vertex.configuration.reader import VERTEXAI, load
from airflow_provider_kedro_vertex.core.errors import ConfigError
from airflow_provider_kedro_vertex.core.settings.container import Provider
from airflow_provider_kedro_vertex.runtime.config.providers import (
    MLFlowGoogleIAMCredentialsProvider,
    MLFlowGoogleOAuthCredentialsProvider,
)
from airflow_provider_kedro_vertex.runtime.google.auth import IdToken, id_token_of, own_id_token
from airflow_provider_kedro_vertex.runtime.kedro_vertexai.names import load_class


class RequestHeaderProviderWithKedroContext(RequestHeaderProvider):  # type: ignore[misc]
    """The base of providers that want to know the project.

    A subclass has ``in_context()``, whether the headers are wanted, and ``request_headers()``, a dict of them. The
    latter is called before every request.

    :param kedro_context: of the run.
    :param kwargs: ``params`` of ``vertexai.yml``; kept as ``self.params``.
    """

    def __init__(self, kedro_context: KedroContext, **kwargs: Any) -> None:
        self.kedro_context = kedro_context
        self.params = kwargs


class _GoogleIdToken(RequestHeaderProviderWithKedroContext):
    """Sends an ID token of Google's; the two below differ in whose."""

    _needed: tuple[str, ...] = ("client_id",)

    def __init__(self, kedro_context: KedroContext, **kwargs: Any) -> None:
        super().__init__(kedro_context, **kwargs)
        for name in self._needed:
            if not self.params.get(name):
                raise ConfigError(
                    f"{type(self).__name__} needs {name}: set run_config.mlflow.request_header_provider.params.{name} "
                    "in vertexai.yml."
                )
        self._token = IdToken(self._fetch)

    def in_context(self) -> bool:
        """Always."""
        return True

    def request_headers(self) -> dict[str, str]:
        """Make the header, with a token that is valid now."""
        return {"Authorization": f"Bearer {self._token()}"}

    def _fetch(self) -> str:
        return own_id_token(self.params["client_id"])


class MLFlowGoogleOauthRequestHeaderProvider(_GoogleIdToken):
    """Sends an ID token of the job's own service account.

    :param client_id: the audience: the OAuth client id of Identity-Aware Proxy, or the URL of a Cloud Run service.
    """


class MLFlowGoogleIAMRequestHeaderProvider(_GoogleIdToken):
    """Sends an ID token of another service account, which the job's own may get from the IAM Credentials API.

    :param client_id: the audience, as above.
    :param service_account: the other account's e-mail address.
    :param endpoint: optional: scheme and host of another IAM Credentials API, such as a private endpoint.
    """

    _needed = ("client_id", "service_account")

    def _fetch(self) -> str:
        params = self.params
        return id_token_of(params["service_account"], params["client_id"], params.get("endpoint", ""))


#: kedro-vertexai's documents name these two as header providers, which they are not.
_MEANT: dict[type, type] = {
    MLFlowGoogleIAMCredentialsProvider: MLFlowGoogleIAMRequestHeaderProvider,
    MLFlowGoogleOAuthCredentialsProvider: MLFlowGoogleOauthRequestHeaderProvider,
}


class MLFlowRequestHeaderProviderHook:
    """kedro-vertexai's hook, for a ``settings.py`` that has it. Not needed: ``vertexai.yml`` can name the provider.

    The provider's params are ``run_config.mlflow.request_header_provider_params`` of ``vertexai.yml``.

    :param provider_class: the provider.
    """

    def __init__(self, provider_class: type) -> None:
        self.provider_class = provider_class

    # Before kedro-mlflow's, and before the container joins its run: both talk to the server.
    @hook_impl(tryfirst=True)
    def after_context_created(self, context: KedroContext) -> None:
        """Register the provider."""
        _register(self.provider_class, _params_of_project(context), context)


def register(provider: Provider, context: KedroContext) -> None:
    """Let MLflow ask a provider for headers before each of its requests, and see now that it can give them.

    :raises ConfigError: there is no such class, or its params or the container's credentials are wrong.
    :raises ServiceError: no token can be had for now.
    """
    _register(load_class(provider.cls, "run_config.mlflow.request_header_provider.cls"), provider.params, context)


def _register(provider_class: type, params: Any, context: KedroContext) -> None:
    provider_class = _MEANT.get(provider_class, provider_class)
    name = f"{provider_class.__module__}.{provider_class.__qualname__}"
    if not callable(getattr(provider_class, "request_headers", None)):
        raise ConfigError(f"{name} is no request header provider: it has no method request_headers.")
    wants_context = any(
        base.__name__ == RequestHeaderProviderWithKedroContext.__name__ for base in provider_class.mro()
    )
    try:
        provider = provider_class(context, **params) if wants_context else provider_class(**params)
    except TypeError as error:
        raise ConfigError(f"{name} cannot be made with the params {sorted(params)}: {error}") from error
    # MLflow only warns when a provider raises, and goes on without the header.
    if provider.in_context():
        provider.request_headers()
    registry._request_header_provider_registry.register(lambda: provider)


def _params_of_project(context: KedroContext) -> dict[str, Any]:
    run_config = load(context.config_loader, VERTEXAI).get("run_config") or {}
    return dict((run_config.get("mlflow") or {}).get("request_header_provider_params") or {})
