"""What an engine is to the gate, and the gate to an engine. Implementations live to the right; nothing here imports them."""

from collections.abc import AsyncIterable, Mapping
from typing import Any, Protocol

from aldgate.core.generation import NO_OPTIONS, EngineState, Generated, Generation, Progress, Recovery
from aldgate.core.levels import Operation


class Run(Protocol):
    """One attempt at a generation, as its engine sees it.

    Attributes:
        reference: A UUID for engines that take one; the same again where the attempt is adopted.
    """

    reference: str

    async def submitting(self, handle: str) -> None:
        """Keep what the engine knows the attempt by. To be called before the engine is asked to begin, once.

        Raises:
            LeaseLost: Another worker has taken the job; nothing may be sent.
        """
        ...

    def progress(self, progress: Progress) -> None:
        """Tell how far it is. Cheap: what nobody can watch so fast is dropped."""
        ...

    async def save(
        self, data: bytes | AsyncIterable[bytes], *, mime: str, name: str = "", facts: Mapping[str, Any] = NO_OPTIONS
    ) -> None:
        """Keep a file that was made. In order; `facts` (width, height, duration_s, seed ...) go into its record.

        Raises:
            StoreUnavailable: There is no room for it.
        """
        ...


class Engine(Protocol):
    """An adapter to one self-hosted service, or to what is built in.

    Attributes:
        name: As configured: `[engines.NAME]`.
        kind: As in the registry: `comfyui`, `a1111`, `gradio`, `builtin` ...
        operations: What it can be asked for.
        recovery: What becomes of an attempt whose worker is gone.
    """

    name: str
    kind: str
    operations: frozenset[Operation]
    recovery: Recovery

    async def state(self) -> EngineState:
        """Ask how it is, without having it load anything.

        Raises:
            UpstreamUnreachable: Nobody is there.
            UpstreamError: Somebody else is, or it failed.
        """
        ...

    async def generate(self, asked: Generation, run: Run) -> Generated:
        """Make it: say `run.submitting` before anything is sent, save every file, return when all is kept.

        To cancel is to cancel the task that is in here, and then to call `stop`.

        Raises:
            InvalidRequest: It asks for what the engine cannot do; nothing was sent.
            ModelNotFound: It has no such model.
            UpstreamError: The engine is away, full, broke off or failed; the class says whether to try again.
        """
        ...

    async def adopt(self, handle: str, asked: Generation, run: Run) -> Generated | None:
        """Go on with an attempt that another worker began: collect what is finished, wait for what runs.

        None: it knows nothing of it, and it may be begun anew. Only where `recovery` is `adopt`.

        Raises:
            UpstreamError: As `generate`.
        """
        ...

    async def stop(self, handle: str) -> None:
        """Have it stop the attempt, and return when it has. An attempt that has ended, or that it does not know, is stopped.

        Raises:
            UpstreamError: It did not say that it has.
        """
        ...

    async def unload(self, model: str = "") -> None:
        """Have it give its device's memory back, all or one model's. The memory is free when devices say so, not on return.

        Raises:
            NotSupported: It cannot.
            UpstreamError: It did not.
        """
        ...

    async def aclose(self) -> None:
        """Close connections; what runs, runs on."""
        ...
