"""Collect the models of the shop, the bank and the API."""

from orders.models.api import IdempotentRequest, RequestAllowance
from orders.models.bank import BankAccount, Transaction
from orders.models.customers import Customer
from orders.models.shop import Order, OrderLine, Product

__all__ = [
    "BankAccount",
    "Customer",
    "IdempotentRequest",
    "Order",
    "OrderLine",
    "Product",
    "RequestAllowance",
    "Transaction",
]
