"""What the shop sells and to whom, and what the bank holds."""

from orders.models.bank import BankAccount, Transaction
from orders.models.shop import Customer, Order, OrderLine, Product

__all__ = ["BankAccount", "Customer", "Order", "OrderLine", "Product", "Transaction"]
