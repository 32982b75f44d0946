from .data_folder import held as held
from .demo.guide import run_tour as run_tour
from .machine import run_machine as run_machine
from .ports import address as address, choose_port as choose_port
from .signals import run_until_stopped as run_until_stopped
from .site_server import serving as serving
