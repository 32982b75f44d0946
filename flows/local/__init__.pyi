from .data_folder import locked_data_folder as locked_data_folder
from .demo.run import run_demo as run_demo
from .health_checks import HealthCheck as HealthCheck, HealthMonitor as HealthMonitor
from .hook_server import open_hooks as open_hooks
from .machine import run_machine as run_machine
from .ports import address as address, choose_port as choose_port
from .signals import run_until_stopped as run_until_stopped
from .site_server import serve_site as serve_site
