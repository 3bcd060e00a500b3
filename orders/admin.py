# Django looks for admins here; each page is a module of orders/pages.
from orders.pages import bank as bank
from orders.pages import customers as customers
from orders.pages import shop as shop
