"""Methods of flows and tasks that a room above gives: deploying, serving, running in the background. Found through the front desk when used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headrace.flows import FlowMethods
    from headrace.tasks import TaskMethods
else:

    class Offered:
        """A method of the class that `home` finds, looked up at each use: nothing of that room is imported before."""

        def __init__(self, home: Callable[[], type]) -> None:
            self._home = home

        def __set_name__(self, owner: type, name: str) -> None:
            self._name = name

        def __get__(self, instance: Any, owner: type) -> Any:
            return vars(self._home())[self._name].__get__(instance, owner)

    def _of_flows() -> type:
        import headrace.flows

        return headrace.flows.FlowMethods

    def _of_tasks() -> type:
        import headrace.tasks

        return headrace.tasks.TaskMethods

    class FlowMethods:
        """The names that `deploy/flow_methods.py` gives to flows."""

        serve = Offered(_of_flows)
        deploy, adeploy = Offered(_of_flows), Offered(_of_flows)
        to_deployment, ato_deployment = Offered(_of_flows), Offered(_of_flows)
        from_source, afrom_source = Offered(_of_flows), Offered(_of_flows)

    class TaskMethods:
        """The names that `deploy/task_methods.py` gives to tasks."""

        delay, apply_async, serve = Offered(_of_tasks), Offered(_of_tasks), Offered(_of_tasks)


__all__ = ["FlowMethods", "TaskMethods"]
